package transport

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// connectionPool is how many connections to one member are kept.
const connectionPool = 3

// Transport sends, and takes from senders what comes: heartbeats go through Raft's main
// loop, as they never take the library's fast path. It ends pipelines that are stuck.
type Transport struct {
	*raft.NetworkTransport
	senders *senders
	// stall is how long a follower may take for an answer; its disk has that long.
	stall time.Duration
}

// New makes the transport upon streams, which it closes with itself. log takes the library's
// lines.
func New(s *Streams, log hclog.Logger) *Transport {
	return &Transport{raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: s, MaxPool: connectionPool, Timeout: s.cfg.Timeout, Logger: log}),
		newSenders(s, log), s.cfg.Stall}
}

// Consumer implements raft.Transport.
func (t *Transport) Consumer() <-chan raft.RPC { return t.senders.out }

// SetHeartbeatHandler implements raft.Transport.
func (*Transport) SetHeartbeatHandler(func(raft.RPC)) {}

// Close ends everything; the streams, too.
func (t *Transport) Close() error {
	t.CloseStreams()
	err := t.NetworkTransport.Close() // closes the streams; their listener has nobody left
	t.senders.Close()
	return err
}

// InstallSnapshot implements raft.Transport: a snapshot that can travel as a whole does.
func (t *Transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if s, ok := data.(interface {
		Whole() (io.ReadCloser, int64, error)
	}); ok {
		whole, size, err := s.Whole()
		if err != nil {
			return fmt.Errorf("send a snapshot to %s: %w", id, err)
		}
		defer whole.Close()
		sized := *args
		sized.Size = size
		args, data = &sized, whole
	}
	return t.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
}

// AppendEntriesPipeline implements raft.Transport.
func (t *Transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
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
