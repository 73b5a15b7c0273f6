package quicclient

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
)

// TestSomebodyElseNeverUsesRoundZero has a client that does not own the upload commit
// by the classic path: twelve messages a chunk, and the owner is told who was first.
func TestSomebodyElseNeverUsesRoundZero(t *testing.T) {
	c := newCluster(t, 3)
	up := c.upload(1)
	reg := prometheus.NewRegistry()
	other := c.client(func(cfg *Config) {
		cfg.Proposer, cfg.Registry, cfg.AwaitLast = vstack.ProposerID{7}, reg, 10*time.Second
	})
	first := chunkOf(1, 1000)
	if got, err := other.Commit(ctxFor(t), up, testSlot(1), first); err != nil || got.Acks < vstack.Majority {
		t.Fatalf("%+v, %v", got, err)
	}
	// Once two have promised, the third prepare may be given up before it leaves.
	for kind, least := range map[string]float64{"prepare": 2, "put": 3} {
		if n := counted(t, reg, "messages_total", kind, "sent"); n < least || n > 3 {
			t.Errorf("%v messages of kind %s, want %v to 3", n, kind, least)
		}
	}
	var conflict *ConflictError
	if _, err := c.client(nil).Commit(ctxFor(t), up, testSlot(1), chunkOf(2, 1000)); !errors.As(err, &conflict) || conflict.Value.Chunk != vstack.ChunkIDOf(first) {
		t.Errorf("the owner learned %v, want a conflict with the other's chunk", err)
	}
}
