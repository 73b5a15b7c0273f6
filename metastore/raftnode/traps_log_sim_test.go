package raftnode

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// A write whose leader lost its leadership meanwhile is committed by the next one, if it got to
// any other member: where an exchange was under way as the answers were cut it is not sent any
// more, and the next try is another cluster's.
func TestAWriteOfALostLeaderIsCommittedByTheNext(t *testing.T) {
	committed := false
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			c := newSimCluster(t, simOptions{})
			defer c.close()
			lead := c.await(nil, "a leader")
			for _, o := range c.others(lead) {
				c.link(o, lead, false) // entries arrive, answers do not
			}
			_, err := lead.run.Load().Apply(t.Context(), []byte("of unknown outcome"))
			if !errors.Is(err, vstack.ErrOutcomeUnknown) {
				t.Fatalf("the client was told %v, want %v", err, vstack.ErrOutcomeUnknown)
			}
			next := c.await(lead, "another leader")
			if err := c.write(next.run.Load(), "another"); err != nil {
				t.Fatal(err)
			}
			c.log.mu.Lock()
			for _, entry := range c.log.entries {
				committed = committed || entry == "of unknown outcome"
			}
			c.log.mu.Unlock()
			c.net.isolate(c.address(lead.peer.ID), false, true, true)
		})
		if committed || t.Failed() {
			return
		}
	}
	t.Error("the write was lost twenty times: this test shows nothing")
}

// The library calls a member leader before its state machine has what was acknowledged,
// and says of entries that they were applied that it has not applied.
func TestALeaderAndItsAppliedIndexAreAheadOfTheStateMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{})
		defer c.close()
		lead := c.await(nil, "a leader")
		var gates []chan struct{}
		for _, o := range c.others(lead) {
			gates = append(gates, o.run.Load().fsm.shut())
		}
		if err := c.write(lead.run.Load(), "acknowledged"); err != nil {
			t.Fatal(err)
		}
		want := c.log.acknowledged()
		c.kill(lead)
		next := c.inState(c.others(lead), raft.Leader).run.Load()
		for range 1000 {
			if next.raft.AppliedIndex() >= want && next.raft.VerifyLeader().Error() == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if next.raft.State() != raft.Leader || next.raft.AppliedIndex() < want || next.fsm.applied() >= want {
			t.Fatalf("%s, applied index %d, state machine at %d of %d: this test shows nothing",
				next.raft.State(), next.raft.AppliedIndex(), next.fsm.applied(), want)
		}
		if _, leads := next.Leading(); leads {
			t.Error("established before its state machine has caught up")
		}
		if err := c.read(next); !errors.Is(err, vstack.ErrNoLeader) {
			t.Errorf("a read before that: %v", err)
		}
		for _, g := range gates {
			close(g)
		}
		if err := c.read(c.await(lead, "a leader that has caught up").run.Load()); err != nil {
			t.Errorf("a read after that: %v", err)
		}
	})
}

// Members that bootstrap from lists that differ are two clusters, which acknowledge
// different entries at one index. The founders' handshake refuses such lists.
func TestTwoBootstrapsAreTwoClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := func(ids ...string) (out []Peer) {
			for _, id := range ids {
				out = append(out, Peer{ID: id, Addr: "10.0.0." + id[1:] + ":7080"})
			}
			return out
		}
		c := newSimCluster(t, simOptions{forked: true, founders: func(id string) []Peer {
			if id == "h1" {
				return list("h1")
			}
			return list("h2", "h3")
		}})
		defer c.close()
		a := c.members[0]
		b := c.await(a, "a leader of the others")
		if c.inState([]*simMember{a}, raft.Leader) != a {
			t.Fatal("h1 does not lead itself")
		}
		one, err := a.run.Load().raft.Apply([]byte("of the one"), 0), error(nil)
		if err = one.Error(); err != nil {
			t.Fatal(err)
		}
		other := b.run.Load().raft.Apply([]byte("of the other"), 0)
		if err := other.Error(); err != nil {
			t.Fatal(err)
		}
		var x, y raft.Log
		if err := errors.Join(a.run.Load().log.GetLog(one.Index(), &x), b.run.Load().log.GetLog(other.Index(), &y)); err != nil {
			t.Fatal(err)
		}
		if string(x.Data) == string(y.Data) {
			t.Error("one cluster, so this test shows nothing")
		}
	})
}

// A NotifyCh that nobody reads stops the member that is elected.
func TestAnUnreadNotifyChStopsTheLeader(t *testing.T) {
	for name, undrained := range map[string]bool{"unread": true, "buffered and read": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSimCluster(t, simOptions{undrained: undrained})
				defer c.close()
				elected, committed := false, false
				for start := time.Now(); !committed && time.Since(start) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
					for _, m := range c.members {
						r := m.run.Load().raft
						elected = elected || r.State() == raft.Leader
						committed = committed || r.CommitIndex() > 1 // after the first configuration, a leader's own entry
					}
				}
				if !elected || committed == undrained {
					t.Errorf("elected: %v, and anything committed within 30 s: %v", elected, committed)
				}
			})
		})
	}
}

// A barrier is an entry of the log; a read index is none.
func TestABarrierIsALogWriteAndAReadIndexIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{})
		defer c.close()
		r := c.await(nil, "a leader").run.Load()
		before := r.raft.LastIndex()
		for range 10 {
			if err := c.read(r); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.raft.LastIndex() - before; n != 0 {
			t.Errorf("10 linearizable reads wrote %d entries", n)
		}
		for range 10 {
			if err := r.raft.Barrier(time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.raft.LastIndex() - before; n != 10 {
			t.Errorf("10 barriers wrote %d entries, so this test shows nothing", n)
		}
	})
}

// restored is what RecoverCluster hands to the state machine.
type restored struct {
	entries []string
}

func (f *restored) Apply(l *raft.Log) any {
	if l.Type == raft.LogCommand {
		f.entries = append(f.entries, string(l.Data))
	}
	return nil
}
func (f *restored) Snapshot() (raft.FSMSnapshot, error)  { return f, nil }
func (f *restored) Restore(io.ReadCloser) error          { return errors.New("not in this test") }
func (f *restored) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (f *restored) Release()                             {}

// The library's last resort makes entries count that no majority ever had, and that
// their clients may have been told nothing about: docs/metastore.md says when to use it.
func TestRecoverClusterCommitsWhatNoMajorityHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{})
		lead := c.await(nil, "a leader")
		c.net.isolate(c.address(lead.peer.ID), true, true, false)
		if _, err := lead.run.Load().Apply(context.Background(), []byte("on one disk only")); !errors.Is(err, vstack.ErrOutcomeUnknown) {
			t.Fatalf("the cut leader answered %v", err)
		}
		if err := c.write(c.await(lead, "another leader").run.Load(), "instead of it"); err != nil {
			t.Fatal(err)
		}
		c.close()
		cfg := Config{}
		cfg.withDefaults()
		conf := (&Node{cfg: cfg}).raftConfig()
		conf.LocalID, conf.Logger = raft.ServerID(lead.peer.ID), newLogger(slog.New(slog.DiscardHandler))
		fsm, snaps := &restored{}, raft.NewInmemSnapshotStore()
		alone := raft.Configuration{Servers: []raft.Server{{ID: conf.LocalID, Address: raft.ServerAddress(lead.peer.Addr)}}}
		if err := raft.RecoverCluster(conf, fsm, lead.store, lead.store, snaps, c.net.attach("", ""), alone); err != nil {
			t.Fatal(err)
		}
		if n := len(fsm.entries); n == 0 || fsm.entries[n-1] != "on one disk only" {
			t.Errorf("recovered %q, so this test shows nothing", fsm.entries)
		}
	})
}
