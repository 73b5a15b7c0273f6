package raftnode

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// introductions are the members that others told of, for a member whose own configuration
// does not have them yet: one that joins has none, and one that was away may meet a leader
// that came meanwhile.
type introductions struct {
	mu    sync.Mutex
	asked time.Time
	heard map[raft.ServerID]bool
}

// knows implements roster.
func (n *Node) knows(name string) bool {
	return n.find(func(id raft.ServerID) bool { return nameOf(id) == name })
}

// knowsAs implements roster.
func (n *Node) knowsAs(id raft.ServerID) bool {
	return n.find(func(have raft.ServerID) bool { return have == id })
}

// member implements roster.
func (n *Node) member(name string) bool {
	_, ok := n.Member(name)
	return ok
}

// at implements roster.
func (n *Node) at(addr raft.ServerAddress) (name string, ok bool) {
	if !n.ready.Load() {
		return "", false
	}
	for _, s := range n.servers() {
		if s.Address == addr {
			return nameOf(s.ID), true
		}
	}
	return "", false
}

// find looks for a member in this one's own configuration, and among those of whom others
// told.
func (n *Node) find(is func(raft.ServerID) bool) bool {
	if !n.ready.Load() {
		return false // Raft starts; whoever connects does so again
	}
	for _, s := range n.servers() {
		if is(s.ID) {
			return true
		}
	}
	for id := range n.introduced() {
		if is(id) {
			return true
		}
	}
	return false
}

// introduced asks, once a second at most, the members of this one's configuration for
// theirs. The list of the operator counts where none of them answers, or where there is no
// configuration: what a member that was removed says of the others is worth nothing.
func (n *Node) introduced() map[raft.ServerID]bool {
	n.others.mu.Lock()
	defer n.others.mu.Unlock()
	if time.Since(n.others.asked) < helloTimeout {
		return n.others.heard
	}
	var mine []Peer
	for _, m := range n.Members() {
		mine = append(mine, Peer{ID: m.ID, Addr: m.Addr, API: m.API})
	}
	genesis := n.Genesis()
	heard := map[raft.ServerID]bool{}
	for _, list := range [][]Peer{mine, n.cfg.Peers} {
		var answers []hello
		for _, h := range n.askPeers(list) {
			if h.Genesis == genesis && genesis != "" {
				answers = append(answers, h)
			}
		}
		for _, m := range latest(answers).Members {
			heard[serverID(m.ID, m.Instance)] = true
		}
		if len(heard) > 0 {
			break
		}
	}
	n.others.heard, n.others.asked = heard, time.Now()
	return heard
}
