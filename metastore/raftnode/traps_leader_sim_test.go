package raftnode

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// The tests of this file show the library's traps: first what happens without the
// defence, then with it. docs/metastore.md lists them.

// others are the members beside one.
func (c *simCluster) others(m *simMember) (out []*simMember) {
	for _, o := range c.members {
		if o != m {
			out = append(out, o)
		}
	}
	return out
}

func (c *simCluster) link(from, to *simMember, open bool) {
	c.net.set(c.address(from.peer.ID), c.address(to.peer.ID), open)
}

// inState waits for a member among some in a state of the library's.
func (c *simCluster) inState(among []*simMember, s raft.RaftState) *simMember {
	for range 60_000 {
		for _, m := range among {
			if r := m.run.Load(); r != nil && r.raft.State() == s {
				return m
			}
		}
		time.Sleep(time.Millisecond)
	}
	c.t.Fatalf("nobody became %s within a minute", s)
	return nil
}

// A heartbeat of the next leader raises the term while the leader's loop is in a write:
// what the loop does next, it does in a term that another member leads.
func TestAHeartbeatRaisesTheTermUnderTheLeadersWrite(t *testing.T) {
	raised := func(t *testing.T, fast bool) (raised bool) {
		synctest.Test(t, func(t *testing.T) {
			c := newSimCluster(t, simOptions{bare: true, fast: fast})
			defer c.close()
			lead := c.await(nil, "a leader")
			term := lead.run.Load().raft.CurrentTerm()
			pauseMember(c, lead)
			lead.run.Load().disk.logsOnly() // the term is stored by another goroutine
			next := c.await(lead, "another leader")
			for _, o := range c.others(lead) {
				c.link(o, lead, true)
			}
			time.Sleep(time.Second)
			raised = lead.run.Load().raft.CurrentTerm() > term
			if next.run.Load().raft.CurrentTerm() <= term {
				t.Error("the next leader has no later term")
			}
			lead.run.Load().disk.release()
		})
		return raised
	}
	if !raised(t, true) {
		t.Error("on the fast path: the term stood still, so this test shows nothing")
	}
	if raised(t, false) {
		t.Error("on the main loop: the term was raised during a write")
	}
}

// A leader that was deposed is told by VerifyLeader that it leads, because an answer to
// a heartbeat from before arrives after the question.
func TestVerifyLeaderIsSatisfiedByAnOldAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{adjust: func(cfg *raft.Config) {
			// Only so that the first leader does not notice by its lease.
			if cfg.LocalID == "h1" {
				cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = time.Minute, time.Minute, time.Minute
			}
		}})
		defer c.close()
		h1 := c.members[0]
		for c.leader(nil) != h1 {
			_ = c.await(nil, "a leader").run.Load().Transfer("h1")
			time.Sleep(500 * time.Millisecond)
		}
		old := h1.run.Load()
		if err := c.write(old, "before"); err != nil {
			t.Fatal(err)
		}
		// Heartbeats arrive, their answers do not. The first question sends them at once.
		for _, o := range c.others(h1) {
			c.link(o, h1, false)
		}
		first := old.raft.VerifyLeader()
		next := c.await(h1, "another leader")
		if err := c.write(next.run.Load(), "after"); err != nil {
			t.Fatal(err)
		}
		if _, leads := old.Leading(); !leads {
			t.Fatal("the old leader knows that it was deposed, so this test shows nothing")
		}
		verified := old.raft.VerifyLeader()
		index := make(chan error, 1)
		go func() { index <- c.read(old) }()
		time.Sleep(10 * time.Millisecond)
		follower := c.others(h1)[0]
		if follower == next {
			follower = c.others(h1)[1]
		}
		c.link(follower, h1, true)
		if err := errors.Join(first.Error(), verified.Error()); err != nil {
			t.Errorf("VerifyLeader on the deposed leader: %v; it was expected to succeed wrongly", err)
		}
		if err := <-index; !errors.Is(err, vstack.ErrNoLeader) {
			t.Errorf("read index on the deposed leader: %v, want %v", err, vstack.ErrNoLeader)
		}
		c.link(next, h1, true)
	})
}

// Without the wrapper a vote is two writes, and a crash between them leaves a vote for
// the candidate of the election before.
func TestAVoteIsTwoWritesWithoutTheWrapper(t *testing.T) {
	keys := func(t *testing.T, bare bool) (out []string) {
		synctest.Test(t, func(t *testing.T) {
			c := newSimCluster(t, simOptions{bare: bare})
			defer c.close()
			lead := c.await(nil, "a leader")
			for _, o := range c.others(lead) {
				d := o.run.Load().disk
				d.mu.Lock()
				out = append(out, d.keys...)
				d.mu.Unlock()
			}
		})
		return out
	}
	without := keys(t, true)
	// One vote is enough for a leader: another follower may be between its two writes.
	two := false
	for i := 1; i < len(without); i++ {
		two = two || without[i-1] == disk.KeyVoteTerm && without[i] == disk.KeyVoteCand
	}
	if !two {
		t.Errorf("the library's writes are %q", without)
	}
	with := keys(t, false)
	if !slices.Contains(with, disk.KeyVote) || slices.Contains(with, disk.KeyVoteTerm) || slices.Contains(with, disk.KeyVoteCand) {
		t.Errorf("with the wrapper the writes are %q", with)
	}
}

// A leader whose disk hangs goes on sending heartbeats, so nobody replaces it.
func TestAHungDiskStallsTheClusterWithoutTheGuard(t *testing.T) {
	for name, bare := range map[string]bool{"without the guard": true, "with the guard": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSimCluster(t, simOptions{bare: bare})
				c.fatal = make(chan error, 1)
				defer c.close()
				lead := c.await(nil, "a leader")
				r := lead.run.Load()
				r.disk.hold()
				go func() { _ = c.write(r, "never written") }()
				select {
				case err := <-c.fatal:
					if bare || !errors.Is(err, vstack.ErrTimeout) {
						t.Fatal(err)
					}
					c.kill(lead) // as the process does
				case <-time.After(time.Minute):
					if !bare {
						t.Fatal("the guard did not end the member")
					}
					if c.leader(lead) != nil {
						t.Fatal("another member leads, so this test shows nothing")
					}
					r.disk.release()
					return
				}
				start := time.Now()
				if err := c.write(c.await(lead, "another leader").run.Load(), "written"); err != nil || time.Since(start) > 2*time.Second {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
			})
		})
	}
}

// A transfer to a member that does not answer fails after the election timeout, and
// leaves the leader refusing writes for as long as an exchange may take; if leadership
// changes meanwhile, the library may keep its mark of the transfer for ever.
func TestAFailedTransferRefusesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, simOptions{})
		c.fatal = make(chan error, 1)
		defer c.close()
		lead := c.await(nil, "a leader")
		r, to := lead.run.Load(), c.others(lead)[0]
		time.Sleep(time.Second) // so that all have all
		c.net.isolate(c.address(to.peer.ID), true, true, false)
		if err := r.Transfer(to.peer.ID); err == nil {
			t.Fatal("leadership went to a member that is cut off")
		}
		failed := time.Now()
		time.Sleep(2 * time.Second)
		if err := r.raft.Apply([]byte("refused"), 0).Error(); !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			t.Fatalf("%s after the transfer failed: %v; this test shows nothing", time.Since(failed), err)
		}
		// With clients that go on asking, the member ends itself.
		start := time.Now()
		for len(c.fatal) == 0 && time.Since(start) < time.Minute {
			_ = c.write(r, "refused")
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(start); len(c.fatal) == 0 || d > 1500*time.Millisecond {
			t.Errorf("after %s of refusals the member goes on: %v", d, len(c.fatal) == 0)
		}
		c.net.isolate(c.address(to.peer.ID), true, true, true)
	})
}

// A voter counts from the entry that adds it, whether it has a log or not; a non-voter
// does not.
func TestAVoterCountsBeforeItHasCaughtUp(t *testing.T) {
	survives := func(t *testing.T, add func(*raft.Raft) raft.IndexFuture) (survives bool) {
		synctest.Test(t, func(t *testing.T) {
			c := newSimCluster(t, simOptions{})
			defer c.close()
			lead := c.await(nil, "a leader")
			if err := add(lead.run.Load().raft).Error(); err != nil {
				t.Fatal(err)
			}
			c.kill(c.others(lead)[0])
			stop := time.Now().Add(20 * time.Second)
			for !survives && time.Now().Before(stop) {
				if m := c.leader(nil); m != nil {
					survives = c.write(m.run.Load(), "with a member less") == nil
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		return survives
	}
	if survives(t, func(r *raft.Raft) raft.IndexFuture { return r.AddVoter("h4", "10.0.0.4:7080", 0, 0) }) {
		t.Error("AddVoter: an empty fourth member and a dead third left a majority, so this test shows nothing")
	}
	if !survives(t, func(r *raft.Raft) raft.IndexFuture { return r.AddNonvoter("h4", "10.0.0.4:7080", 0, 0) }) {
		t.Error("AddNonvoter: no writes with one of three members dead")
	}
}
