package raftnode

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// roster is who may send to a Node: its own configuration, and the members that others told of,
// for a member whose configuration does not have them yet. One that joins has none, and one that
// was away may meet a leader that came meanwhile.
type roster struct {
	n *Node

	mu    sync.Mutex
	asked time.Time
	heard map[raft.ServerID]bool
}

// Knows implements transport.Roster.
func (r *roster) Knows(name string) bool {
	return r.find(func(id raft.ServerID) bool { return nameOf(id) == name })
}

// KnowsAs implements transport.Roster.
func (r *roster) KnowsAs(name string, id raft.ServerID) bool {
	return nameOf(id) == name && r.find(func(have raft.ServerID) bool { return have == id })
}

// Member implements transport.Roster.
func (r *roster) Member(name string) bool {
	_, ok := r.n.Member(name)
	return ok
}

// At implements transport.Roster.
func (r *roster) At(addr raft.ServerAddress) (name string, ok bool) {
	if !r.n.ready.Load() {
		return "", false
	}
	for _, s := range r.n.servers() {
		if s.Address == addr {
			return nameOf(s.ID), true
		}
	}
	return "", false
}

// find looks for a member in this one's own configuration, and among those of whom others
// told.
func (r *roster) find(is func(raft.ServerID) bool) bool {
	if !r.n.ready.Load() {
		return false // Raft starts; whoever connects does so again
	}
	for _, s := range r.n.servers() {
		if is(s.ID) {
			return true
		}
	}
	for id := range r.introduced() {
		if is(id) {
			return true
		}
	}
	return false
}

// introduced asks, once a second at most, the members of this one's configuration for
// theirs. The list of the operator counts where none of them answers, or where there is no
// configuration: what a member that was removed says of the others is worth nothing.
func (r *roster) introduced() map[raft.ServerID]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < r.n.cfg.hello() {
		return r.heard
	}
	var mine []Peer
	for _, m := range r.n.Members() {
		mine = append(mine, Peer{ID: m.ID, Addr: m.Addr, API: m.API})
	}
	genesis := r.n.Genesis()
	heard := map[raft.ServerID]bool{}
	for _, list := range [][]Peer{mine, r.n.cfg.Peers} {
		var answers []hello
		for _, h := range r.n.askPeers(list) {
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
	r.heard, r.asked = heard, time.Now()
	return heard
}
