package transfer

import (
	"github.com/vstack/vstack/quicclient/policy"
	"time"
)

// apply carries one action out, or ignores it if it makes no sense any more. The lock is
// held.
func (e *Engine) apply(act policy.Action) bool {
	s := &e.sight
	if act.Store < 0 || act.Store >= len(s.peers) {
		return false
	}
	if act.Kind == policy.Eject {
		return e.eject(act.Store)
	}
	p := s.pieces[act.Piece]
	if p == nil || p.c.over {
		return false
	}
	switch act.Kind {
	case policy.Start:
		return e.start(p, act)
	case policy.Take:
		return e.take(p, act)
	case policy.Cancel:
		for _, a := range p.attempts {
			if a.peer == s.peers[act.Store] {
				a.cancel()
				return true
			}
		}
	}
	return false
}

// eject leaves a silent store alone until a packet comes from it, and has it dialled again
// soon. Its attempts may yet win.
func (e *Engine) eject(store int) bool {
	peer, now := e.sight.peers[store], e.cfg.Pool.Now()
	if e.sight.view.Stores[store].Ejected {
		return false
	}
	peer.Failed()
	peer.Eject(now, peer.Packets())
	peer.Doubt(now)
	return true
}

// target is the index of a store among a chunk's targets, if it may be asked.
func (e *Engine) target(p *piece, store int) (int, bool) {
	peer := e.sight.peers[store]
	for _, a := range p.attempts {
		if a.peer == peer {
			return 0, false
		}
	}
	for i, t := range p.c.req.Targets {
		if t.Peer == peer {
			return i, !p.c.failed[t.Store.ID] && !p.complete[peer]
		}
	}
	return 0, false
}

// start asks a store for a part of a piece that nobody is asked for, or beside others for
// all that is left of it.
func (e *Engine) start(p *piece, act policy.Action) bool {
	target, ok := e.target(p, act.Store)
	if !ok {
		return false
	}
	c := p.c
	if p.row >= 0 {
		n := c.req.Rows.List[p.row].Share
		return e.launch(p, target, 0, n, act, len(p.attempts) >= p.need()-len(p.complete))
	}
	at, end := p.copies.state()
	if p.whole || len(p.attempts) > 0 {
		if at >= end || p.whole && len(p.attempts) > 0 {
			return false // of the latter every answer would have to be one store's
		}
		return e.launch(p, target, at, end, act, len(p.attempts) > 0)
	}
	from, to := act.From, act.From+act.Length
	if from < at || to > end || from >= to {
		return false
	}
	if from > at { // what lies before stays with the piece
		p.copies.cut(from)
		rest := c.copy(from, end, false)
		c.insert(rest)
		p = rest
	}
	if to < end {
		p.copies.cut(to)
		c.insert(c.copy(to, end, false))
	}
	return e.launch(p, target, from, to, act, false)
}

// take has a store bring the tail of a piece, and its attempts leave it off.
func (e *Engine) take(p *piece, act policy.Action) bool {
	if p.row >= 0 || p.whole || len(p.attempts) == 0 {
		return false
	}
	target, ok := e.target(p, act.Store)
	if !ok {
		return false
	}
	end, ok := p.copies.cut(act.From)
	if !ok {
		return false
	}
	now := e.cfg.Pool.Now()
	for _, a := range p.attempts {
		a.leaveOff(now, act.From)
	}
	tail := p.c.copy(act.From, end, false)
	p.c.insert(tail)
	return e.launch(tail, target, act.From, end, act, true)
}

// leaveOff counts what an attempt does not have to bring any more.
func (a *attempt) leaveOff(now time.Duration, at int64) {
	for {
		owed := a.owed.Load()
		keep := min(owed, max(0, at-a.pos.Load()))
		if a.owed.CompareAndSwap(owed, keep) {
			a.peer.Cut(now, owed-keep)
			return
		}
	}
}
