package raftnode

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// barrierTimeout bounds entering the queue; the barrier itself ends with leadership.
const barrierTimeout = 5 * time.Second

// follow drains NotifyCh, which blocks Raft when full, and establishes leadership.
func (n *Node) follow() {
	defer n.wg.Done()
	for {
		select {
		case <-n.ctx.Done():
			return
		case leads := <-n.notify:
			n.established.Store(nil)
			n.guard.Lead(leads)
			if leads {
				n.wg.Add(1)
				go n.establish(n.raft.CurrentTerm())
			}
			n.announce()
		}
	}
}

// establish waits until this member's catalog holds all that was committed before its
// term, and then lets writes in.
func (n *Node) establish(term uint64) {
	defer n.wg.Done()
	for {
		if !n.enter() {
			return
		}
		err := n.raft.Barrier(barrierTimeout).Error()
		n.ops.Done()
		if n.ctx.Err() != nil || n.raft.State() != raft.Leader || n.raft.CurrentTerm() != term {
			return // led no more; the next term has its own establish
		}
		if err == nil {
			n.established.Store(&Leadership{Term: term, Since: time.Now()})
			n.announce()
			return
		}
		if !errors.Is(err, raft.ErrEnqueueTimeout) {
			return
		}
	}
}

// announce wakes everybody who waits for a change of leadership.
func (n *Node) announce() {
	n.changedMu.Lock()
	close(n.changed)
	n.changed = make(chan struct{})
	n.changedMu.Unlock()
}

// Changed returns a channel that the next change of this member's leadership closes.
func (n *Node) Changed() <-chan struct{} {
	n.changedMu.Lock()
	defer n.changedMu.Unlock()
	return n.changed
}

// Leading reports whether this member leads, established, as far as it knows: it may
// be deposed and not have heard yet. After a pause of the process that can be long ago.
func (n *Node) Leading() (Leadership, bool) {
	l := n.established.Load()
	if l == nil || n.raft.State() != raft.Leader || n.raft.CurrentTerm() != l.Term {
		return Leadership{}, false
	}
	return *l, true
}

// Leader is the id of the member that this one follows, empty when there is none.
func (n *Node) Leader() string {
	_, id := n.raft.LeaderWithID()
	return nameOf(id)
}
