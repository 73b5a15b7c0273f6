package raftnode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// successorCheck is how often a leader that handed over looks who leads after it.
const successorCheck = 5 * time.Millisecond

// Member is one entry of the configuration. Raft knows it as ID.Instance, at an address
// that carries both of its listeners: so the configuration tells every member where
// the others serve.
type Member struct {
	ID       string
	Instance string
	Addr     string // HOST:PORT of Raft
	API      string // HOST:PORT of the REST API
	Voter    bool
}

// serverID is the name under which Raft knows a member. Names have no dot.
func serverID(name, instance string) raft.ServerID {
	if instance == "" {
		return raft.ServerID(name)
	}
	return raft.ServerID(name + "." + instance)
}

func nameOf(id raft.ServerID) string {
	name, _, _ := strings.Cut(string(id), ".")
	return name
}

func serverAddress(raftAddr, api string) raft.ServerAddress {
	if api == "" {
		return raft.ServerAddress(raftAddr)
	}
	return raft.ServerAddress(raftAddr + "|" + api)
}

func memberOf(s raft.Server) Member {
	name, instance, _ := strings.Cut(string(s.ID), ".")
	addr, api, _ := strings.Cut(string(s.Address), "|")
	return Member{ID: name, Instance: instance, Addr: addr, API: api, Voter: s.Suffrage == raft.Voter}
}

// memberList is the members of a configuration, which every answer of the API names.
type memberList struct {
	servers []raft.Server // the library's, replaced by every change
	members []Member
}

// Members are the members of the latest configuration that this one knows. The list is
// shared, and the same one until a change: do not change it.
func (n *Node) Members() []Member {
	servers := n.servers()
	if len(servers) == 0 {
		return nil
	}
	if l := n.members.Load(); l != nil && len(l.servers) == len(servers) && &l.servers[0] == &servers[0] {
		return l.members
	}
	l := &memberList{servers: servers}
	for _, s := range servers {
		l.members = append(l.members, memberOf(s))
	}
	n.members.Store(l)
	return l.members
}

// Member looks one member up by name.
func (n *Node) Member(id string) (Member, bool) {
	for _, s := range n.servers() {
		if nameOf(s.ID) == id {
			return memberOf(s), true
		}
	}
	return Member{}, false
}

// Voters are the ids of the voting members.
func (n *Node) Voters() []string {
	var ids []string
	for _, s := range n.servers() {
		if s.Suffrage == raft.Voter {
			ids = append(ids, nameOf(s.ID))
		}
	}
	return ids
}

func (n *Node) servers() []raft.Server {
	f := n.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// Add makes m a member without a vote. The same member again is answered as added.
func (n *Node) Add(ctx context.Context, m Member) error {
	for _, s := range n.servers() {
		have := memberOf(s)
		switch {
		case have.ID == m.ID && have.Instance == m.Instance && have.Addr == m.Addr && have.API == m.API:
			return nil
		case have.ID == m.ID:
			return fmt.Errorf("add member %s: %w: it is a member as instance %s at %s; remove that one first", m.ID, vstack.ErrAlreadyExists, have.Instance, have.Addr)
		case have.Addr == m.Addr || have.API == m.API:
			return fmt.Errorf("add member %s: %w: %s is at %s and %s", m.ID, vstack.ErrAlreadyExists, have.ID, have.Addr, have.API)
		}
	}
	if len(n.servers()) >= MaxPeers {
		return fmt.Errorf("add member %s: %w: at most %d members", m.ID, vstack.ErrTooLarge, MaxPeers)
	}
	return n.change(ctx, "add member "+m.ID, func(d time.Duration) raft.Future {
		return n.raft.AddNonvoter(serverID(m.ID, m.Instance), serverAddress(m.Addr, m.API), 0, d)
	})
}

// Promote gives a member its vote.
func (n *Node) Promote(ctx context.Context, m Member) error {
	return n.change(ctx, "promote member "+m.ID, func(d time.Duration) raft.Future {
		return n.raft.AddVoter(serverID(m.ID, m.Instance), serverAddress(m.Addr, m.API), 0, d)
	})
}

// Remove takes a member out. The last voter stays, and a leader does not remove itself:
// it would go on leading a cluster that it is not of until the entry is committed.
func (n *Node) Remove(ctx context.Context, m Member) error {
	if m.ID == n.cfg.ID {
		return fmt.Errorf("remove member %s: %w: it leads; transfer leadership first", m.ID, vstack.ErrInvalid)
	}
	return n.change(ctx, "remove member "+m.ID, func(d time.Duration) raft.Future {
		return n.raft.RemoveServer(serverID(m.ID, m.Instance), 0, d)
	})
}

// change runs one change of the configuration; Raft makes one at a time.
func (n *Node) change(ctx context.Context, what string, f func(time.Duration) raft.Future) error {
	if _, ok := n.Leading(); !ok {
		return fmt.Errorf("%s: %w: %s does not lead", what, vstack.ErrNoLeader, n.cfg.ID)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !n.enter() {
		return fmt.Errorf("%s: %w: %s is closing", what, vstack.ErrNoLeader, n.cfg.ID)
	}
	defer n.ops.Done()
	if err := f(n.cfg.ApplyTimeout).Error(); err != nil { // ends with leadership at the latest
		return fmt.Errorf("%s: %w", what, n.explain(err))
	}
	return nil
}

// Transfer hands leadership to a member, or to the most up to date for an empty id, and
// waits until this member follows it.
func (n *Node) Transfer(to string) error {
	led, ok := n.Leading()
	if !ok {
		return fmt.Errorf("transfer leadership: %w: %s does not lead", vstack.ErrNoLeader, n.cfg.ID)
	}
	if to == n.cfg.ID {
		return nil
	}
	if !n.enter() {
		return fmt.Errorf("transfer leadership: %w", vstack.ErrClosed)
	}
	defer n.ops.Done()
	var f raft.Future
	if to == "" {
		f = n.raft.LeadershipTransfer()
	} else {
		for _, s := range n.servers() {
			if nameOf(s.ID) == to && s.Suffrage == raft.Voter {
				f = n.raft.LeadershipTransferToServer(s.ID, s.Address)
			}
		}
		if f == nil {
			return fmt.Errorf("transfer leadership: voter %q: %w", to, vstack.ErrNotFound)
		}
	}
	if err := f.Error(); err != nil {
		if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			n.watchTransfer()
		}
		return fmt.Errorf("transfer leadership to %q: %w: %v", to, vstack.ErrUnavailable, err)
	}
	return n.awaitSuccessor(led.Term, to)
}

// awaitSuccessor waits until somebody leads after this member did in a term: the library
// is done with a transfer once the other was told to stand for election.
func (n *Node) awaitSuccessor(term uint64, to string) error {
	limit := time.NewTimer(max(2*n.cfg.Election, time.Second))
	defer limit.Stop()
	tick := time.NewTicker(successorCheck)
	defer tick.Stop()
	for {
		switch now, lead := n.raft.CurrentTerm(), n.Leader(); {
		case now == term || lead == "":
		case to != "" && lead != to:
			return fmt.Errorf("transfer leadership to %q: %w: %s was elected", to, vstack.ErrUnavailable, lead)
		case lead != n.cfg.ID:
			return nil
		case n.raft.State() == raft.Leader: // it may still be named, and lead no more
			return fmt.Errorf("transfer leadership: %w: %s was elected again", vstack.ErrUnavailable, lead)
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("transfer leadership to %q: %w: handed over, and nobody leads yet", to, vstack.ErrUnavailable)
		}
	}
}

// JudgePeers ends the connections of those who may not speak Raft any more.
func (n *Node) JudgePeers() { n.streams.Judge() }
