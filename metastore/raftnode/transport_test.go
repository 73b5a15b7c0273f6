package raftnode

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// The library's sender outlives its reader by a request: then nobody takes answers, and
// without the bound the third AppendEntries below never returns.
func TestAPipelineThatNobodyReadsEnds(t *testing.T) {
	g := newGroup(t, 1)
	cfg := g.config(0)
	cfg.withDefaults()
	cfg.RPCTimeout, cfg.DiskTimeout = time.Second, 100*time.Millisecond
	tr := g.transport(cfg)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // a follower that refuses
		defer close(done)
		for {
			select {
			case rpc := <-tr.Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Success: false}, nil)
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-done; _ = tr.Close() }()
	p, err := tr.AppendEntriesPipeline("h1", raft.ServerAddress(g.peers[0].Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ended := make(chan error, 1)
	go func() {
		for {
			req := raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("h1.x")}, Term: 1}
			if _, err := p.AppendEntries(&req, new(raft.AppendEntriesResponse)); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, raft.ErrPipelineShutdown) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a sender waits for a reader that is gone")
		_ = p.Close() // lets it go
		<-ended
	}
}
