package raftnode

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// Status is what this member knows of itself.
type Status struct {
	State       string // "leader", "follower", "candidate", "shutdown"
	Term        uint64
	LastIndex   uint64
	Commit      uint64
	LastContact time.Duration // since a leader was heard; 0 on the leader, -1 if never
	Members     []Member
	DiskWrite   time.Duration // that the last write of the log took
	DiskWorst   time.Duration // the longest since the start
	Disk        disk.Pace
}

// Status reads the member's state.
func (n *Node) Status() Status {
	s := Status{Term: n.raft.CurrentTerm(), LastIndex: n.raft.LastIndex(), Commit: n.raft.CommitIndex()}
	switch n.raft.State() {
	case raft.Leader:
		s.State = "leader"
	case raft.Follower:
		s.State = "follower"
	case raft.Candidate:
		s.State = "candidate"
	default:
		s.State = "shutdown"
	}
	if s.State != "leader" {
		if last := n.raft.LastContact(); last.IsZero() {
			s.LastContact = -1
		} else {
			s.LastContact = time.Since(last)
		}
	}
	s.Members = n.Members()
	s.DiskWrite, s.DiskWorst = n.guard.Last(), n.guard.Longest()
	s.Disk = n.Disk()
	return s
}

// Disk is how the log was written lately.
func (n *Node) Disk() disk.Pace { return n.guard.Pace() }

// Instance is this directory's.
func (n *Node) Instance() string { return n.origin.Load().Instance }

// Term is the member's current term.
func (n *Node) Term() uint64 { return n.raft.CurrentTerm() }

// Snapshot takes a snapshot now, if anything was applied since the last.
func (n *Node) Snapshot() error {
	if err := n.raft.Snapshot().Error(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return fmt.Errorf("take a raft snapshot: %w", err)
	}
	return nil
}

// OldestSnapshot is the index of the oldest snapshot that is kept; 0 while there is none.
func (n *Node) OldestSnapshot() uint64 {
	index, err := n.snapshots.Oldest()
	if err != nil {
		n.cfg.Logger.Warn("the snapshots of this member cannot be listed", "err", err)
	}
	return index
}

func (n *Node) register() error {
	if n.cfg.Registry == nil {
		return nil
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	for _, c := range []prometheus.Collector{
		gauge("vstack_raftnode_leader", "1 while this member leads, established.", func() float64 {
			if _, ok := n.Leading(); ok {
				return 1
			}
			return 0
		}),
		gauge("vstack_raftnode_term", "Current term.", func() float64 { return float64(n.raft.CurrentTerm()) }),
		gauge("vstack_raftnode_last_index", "Index of the last entry in the log.", func() float64 { return float64(n.raft.LastIndex()) }),
		gauge("vstack_raftnode_commit_index", "Index up to which entries are committed.", func() float64 { return float64(n.raft.CommitIndex()) }),
		gauge("vstack_raftnode_last_contact_seconds", "Time since a leader was heard; 0 on the leader.", func() float64 { return max(0, n.Status().LastContact.Seconds()) }),
		gauge("vstack_raftnode_voters", "Members that vote, as this one knows them.", func() float64 { return float64(len(n.Voters())) }),
		gauge("vstack_raftnode_joining", "Members that have no vote yet.", func() float64 { return float64(len(n.servers()) - len(n.Voters())) }),
		gauge("vstack_raftnode_belongs", "1 while this process is a member of its cluster.", func() float64 {
			if is, _ := n.Standing(); is == Belongs {
				return 1
			}
			return 0
		}),
		gauge("vstack_raftnode_disk_write_seconds", "Time that the last write of the log took.", func() float64 { return n.guard.Last().Seconds() }),
		gauge("vstack_raftnode_disk_slow_ratio", "Share of the last 10 s in which a write of the log longer than 100 ms was under way.", func() float64 { return n.Disk().Slow }),
		gauge("vstack_raftnode_inflight", "Writes that wait for their commit.", func() float64 { return float64(len(n.slots)) }),
	} {
		if err := n.cfg.Registry.Register(c); err != nil {
			return fmt.Errorf("register raft metrics: %w", err)
		}
	}
	return nil
}
