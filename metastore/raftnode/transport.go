package raftnode

import (
	"time"

	"github.com/hashicorp/raft"
)

// transport sends, and takes from senders what comes: heartbeats go through Raft's main
// loop, as they never take the library's fast path. It ends pipelines that are stuck.
type transport struct {
	*raft.NetworkTransport
	senders *senders
	// stall is how long a follower may take for an answer; its disk has that long.
	stall time.Duration
}

func newTransport(cfg Config, s *streams, members roster) *transport {
	log := newLogger(cfg.Logger)
	return &transport{raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: s, MaxPool: connectionPool, Timeout: cfg.RPCTimeout, Logger: log}),
		newSenders(s, members, cfg.RPCTimeout, log), cfg.DiskTimeout}
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC { return t.senders.out }

// SetHeartbeatHandler implements raft.Transport.
func (*transport) SetHeartbeatHandler(func(raft.RPC)) {}

// Close ends everything; the streams, too.
func (t *transport) Close() error {
	t.CloseStreams()
	err := t.NetworkTransport.Close() // closes the streams; their listener has nobody left
	t.senders.Close()
	return err
}

// AppendEntriesPipeline implements raft.Transport.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return &pipeline{p, t.stall}, nil
}

// pipeline bounds the wait for a place in it. The library stops reading answers after one
// that refuses, and may send once more before it notices: there is nobody then to make
// room, the sender waits for ever, and the follower gets no entry and Shutdown no end.
type pipeline struct {
	raft.AppendPipeline
	stall time.Duration
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	stuck := time.AfterFunc(p.stall, func() { _ = p.Close() }) // the wait ends with ErrPipelineShutdown
	defer stuck.Stop()
	return p.AppendPipeline.AppendEntries(args, resp)
}
