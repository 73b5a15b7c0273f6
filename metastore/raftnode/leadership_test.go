package raftnode

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// gated is an FSM that applies nothing while its gate is shut.
type gated struct {
	*counter
	gate chan struct{}
}

func (g *gated) Apply(l *raft.Log) any {
	<-g.gate
	return g.counter.Apply(l)
}

func TestALeaderDoesNotServeBeforeItsCatalogHasCaughtUp(t *testing.T) {
	g := newGroup(t, 3)
	gates := make([]chan struct{}, 3)
	for i := range g.nodes {
		gates[i] = make(chan struct{})
		g.start(i, func(c *Config) { c.FSM = &gated{g.fsms[i], gates[i]} })
	}
	lead := g.leader() // its log holds no command yet, so its barrier passes the gate
	close(gates[lead])
	if _, err := g.nodes[lead].Apply(t.Context(), []byte("committed by two logs")); err != nil {
		t.Fatal(err)
	}
	next := (lead + 1) % 3
	g.eventually("the next leader", func() bool {
		_ = g.nodes[lead].Transfer(g.peers[next].ID)
		return g.nodes[next].raft.State() == raft.Leader
	})
	// Long enough for a barrier to be committed, had the state machine not been waited for.
	committed := g.nodes[next].raft.LastIndex()
	g.eventually("its first entries to be committed", func() bool { return g.nodes[next].raft.CommitIndex() >= committed })
	if _, leads := g.nodes[next].Leading(); leads && g.fsms[next].count() == 0 {
		t.Fatal("serves from a catalog that lacks what was acknowledged")
	}
	if _, err := g.nodes[next].Apply(t.Context(), []byte("too early")); !errors.Is(err, vstack.ErrNoLeader) {
		t.Fatalf("a write before the barrier: %v", err)
	}
	close(gates[next])
	g.eventually("the leader to be established", func() bool { _, ok := g.nodes[next].Leading(); return ok })
	if n := g.fsms[next].count(); n != 1 {
		t.Errorf("established with %d entries applied, want 1", n)
	}
	close(gates[(lead+2)%3])
}

func TestALeaderThatIsStuckInATransferEnds(t *testing.T) {
	g := newGroup(t, 1)
	g.start(0)
	g.leader()
	n := g.nodes[0]
	asked := 0
	stuck := func() error { asked++; return raft.ErrLeadershipTransferInProgress }
	n.endStuck(40*time.Millisecond, stuck)
	if len(g.fatal) != 1 || asked != stuckChecks {
		t.Fatalf("asked %d times, and goes on refusing writes for ever", asked)
	}
	<-g.fatal
	asked = 0
	n.endStuck(40*time.Millisecond, func() error { // it ends at the last moment
		if asked == stuckChecks-1 {
			return nil
		}
		return stuck()
	})
	if len(g.fatal) != 0 || asked != stuckChecks-1 {
		t.Fatalf("asked %d times, ended by a transfer that was over", asked)
	}
}

func TestRefusalsOfTransfersThatEndAreNoSign(t *testing.T) {
	g := newGroup(t, 1)
	g.start(0)
	g.leader()
	n := g.nodes[0]
	for range 3 { // each of a transfer of its own, long apart for this leader
		if err := n.explain(raft.ErrLeadershipTransferInProgress); !errors.Is(err, vstack.ErrNoLeader) {
			t.Fatalf("%v", err)
		}
		g.eventually("the end of the watch", func() bool { return !n.watching.Load() })
	}
	if len(g.fatal) != 0 {
		t.Fatalf("ends: %v", <-g.fatal)
	}
	g.apply("x")
}

func TestCloseWaitsForRequestsInTheQueue(t *testing.T) {
	for range 5 {
		g := newGroup(t, 1)
		g.start(0)
		g.leader()
		const writers = 32
		done := make(chan error, writers)
		for range writers {
			go func() {
				for {
					if _, err := g.nodes[0].Apply(t.Context(), []byte("x")); err != nil {
						done <- err
						return
					}
				}
			}()
		}
		g.eventually("writes", func() bool { return g.fsms[0].count() > writers })
		if err := g.nodes[0].Close(); err != nil {
			t.Fatal(err)
		}
		for range writers {
			if err := <-done; !errors.Is(err, vstack.ErrNoLeader) && !errors.Is(err, vstack.ErrOutcomeUnknown) {
				t.Errorf("at the end: %v", err)
			}
		}
	}
}

func TestATransferEndsWhenTheNextLeaderIsKnown(t *testing.T) {
	g := newGroup(t, 3)
	for i := range g.nodes {
		g.start(i)
	}
	for range 20 {
		// Refused until the other is caught up. On a busy machine others may be elected at any time:
		// who leads is looked up for each try, and may have changed again when it is looked at.
		g.eventually("a transfer", func() bool {
			led := g.leader()
			term := g.nodes[led].Term()
			err := g.nodes[led].Transfer(g.peers[(led+1)%3].ID)
			if got := g.nodes[led].Leader(); err == nil && (got == "" || g.nodes[led].Term() == term) {
				t.Fatalf("transfer ended, and %s follows %q", g.peers[led].ID, got)
			}
			return err == nil
		})
	}
}
