package raftnode

import (
	"time"

	"github.com/hashicorp/raft"
)

// transport sends heartbeats through Raft's main loop by never taking the fast path, and
// ends pipelines that are stuck.
type transport struct {
	*raft.NetworkTransport
	// stall is how long a follower may take for an answer; its disk has that long.
	stall time.Duration
}

func (transport) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntriesPipeline implements raft.Transport.
func (t transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
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
