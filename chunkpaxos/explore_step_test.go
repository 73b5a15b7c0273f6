package chunkpaxos

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// advance lets a process take an input.
func (s *xstate) advance(m *memo, i int, in xinput) error {
	step := m.proc(s.procs[i], in)
	if step.err != nil {
		return step.err
	}
	s.procs[i] = step.next
	for _, msg := range step.sends {
		s.send(msg)
	}
	for _, v := range step.learned {
		if s.chosen != v {
			return fmt.Errorf("agreement: %s learned value %d, chosen is %d", "PQ"[i:i+1], v, s.chosen)
		}
	}
	return nil
}

// change lets a driver take an input; the catalog activates at once or refuses.
func (s *xstate) change(m *memo, i int, in dinput) error {
	step := m.driver(s.drivers[i], in)
	s.drivers = slices.Clone(s.drivers)
	s.drivers[i] = step.next
	for _, msg := range step.sends {
		s.send(msg)
	}
	if !step.activates {
		return nil
	}
	attempt := step.next.attempt
	if s.active == 1 && attempt == s.next {
		s.active, s.attempt = 2, attempt
		if err := s.settle(); err != nil {
			return err
		}
	}
	var err error
	if s.attempt != attempt {
		err = vstack.ErrEpochStale
	}
	return s.change(m, i, dinput{kind: verdict, err: err})
}

// mayLose reports whether one more answer may be lost.
func (s *xstate) mayLose(b *bound) bool { return b.losses == anyNumber || s.losses > 0 }

// apply puts a store's step in force; answered says whether its answers arrive.
func (s *xstate) apply(m *memo, i int, step storeStep, answered bool) error {
	if step.err != nil {
		return step.err
	}
	if !answered {
		s.losses = max(s.losses-1, 0)
	}
	s.stores[i] = step.next
	if step.wrote {
		if err := s.settle(); err != nil {
			return err
		}
	}
	for _, r := range step.replies {
		if !answered || !s.current(r.msg) {
			continue
		}
		var err error
		if r.msg.driver {
			err = s.change(m, r.msg.from, dinput{kind: answers, xreply: r})
		} else {
			err = s.advance(m, r.msg.from, xinput{kind: answers, xreply: r})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle counts every durable vote, and what the active attempt installed.
func (s *xstate) settle() error {
	for _, st := range s.stores {
		for _, d := range st.votes {
			if err := s.count(d.Epoch, d.Ballot, d.Value.Size); err != nil {
				return err
			}
		}
		if s.active == 2 {
			if v, ok := st.installed(s.attempt); ok && !v.IsZero() {
				if err := s.count(2, message.InstallBallot(s.attempt), v.Size); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// count finds every store that voted at a ballot; a majority of its epoch decides.
func (s *xstate) count(e vstack.Epoch, b vstack.Ballot, value uint32) error {
	n := 0
	for _, st := range s.stores {
		has := uint32(0)
		for _, d := range st.votes {
			if d.Epoch == e && d.Ballot == b {
				has = d.Value.Size
			}
		}
		if e == 2 && s.active == 2 && b == message.InstallBallot(s.attempt) {
			if v, ok := st.installed(s.attempt); ok {
				has = max(has, v.Size)
			}
		}
		if has != 0 && has != value {
			return fmt.Errorf("one value per ballot: %d and %d in epoch %d at %s", has, value, e, b)
		}
		if has != 0 && slices.Contains(xgroups[e].Acceptors, store(st.i)) {
			n++
		}
	}
	if n < vstack.Majority {
		return nil
	}
	if s.chosen != 0 && s.chosen != value {
		return fmt.Errorf("agreement: value %d was chosen, and now %d in epoch %d at %s", s.chosen, value, e, b)
	}
	s.chosen = value
	return nil
}

// successors calls yield with every state that one event leads to.
func (s *xstate) successors(m *memo, yield func(*xstate, error)) {
	next := func(e xevent, f func(*xstate) error) {
		n := *s
		n.from, n.event = s, e
		err := f(&n)
		if err == nil {
			n.prune()
		}
		yield(&n, err)
	}
	for k, msg := range s.net {
		step := m.store(s, msg.to, delivers, msg)
		for _, answered := range [...]bool{true, false} {
			if !answered && (step.waits || !s.current(msg)) {
				continue // the same state; or the answer is decided when it is given
			}
			if !answered && !s.mayLose(m.b) {
				continue
			}
			next(xevent{"arrives", msg.to, msg, answered}, func(n *xstate) error {
				n.net = append(slices.Clone(s.net[:k]), s.net[k+1:]...)
				return n.apply(m, msg.to, step, answered)
			})
		}
	}
	for i := range s.stores {
		s.storeEvents(m, i, next)
	}
	for i, x := range s.procs {
		switch {
		case x.p == nil && (!m.b.late || s.active == 1):
		case x.p != nil && (x.p.phase == preparing || x.p.phase == accepting):
			next(xevent{what: "times out", who: i}, func(n *xstate) error { return n.advance(m, i, xinput{kind: expires}) })
		case x.p == nil || x.fails && x.again > 0 && s.active > x.p.cfg.Epoch:
			next(xevent{what: "proposes in epoch 2", who: i}, func(n *xstate) error {
				return n.advance(m, i, xinput{kind: proposes, epoch: 2})
			})
		}
	}
	for i, d := range s.drivers {
		if d.state.Stage != epochchange.Ended && d.state.Tries < m.b.tries {
			next(xevent{what: "driver asks again", who: i}, func(n *xstate) error { return n.change(m, i, dinput{kind: expires}) })
		}
	}
	if len(s.drivers) < m.b.drivers && s.active == 1 {
		next(xevent{what: "another driver begins", who: len(s.drivers)}, func(n *xstate) error { return n.drive(m) })
	}
}

func (s *xstate) storeEvents(m *memo, i int, next func(xevent, func(*xstate) error)) {
	st := s.stores[i]
	one := func(what string, kind inputKind, answered bool) {
		if !answered && !s.mayLose(m.b) {
			return
		}
		next(xevent{what: what, who: i, answered: answered}, func(n *xstate) error {
			return n.apply(m, i, m.store(s, i, kind, nil), answered)
		})
	}
	if st.view < s.active {
		one("hears of epoch 2", hears, true)
		if len(m.store(s, i, hears, nil).replies) > 0 {
			one("hears of epoch 2, unheard", hears, false)
		}
	}
	if len(st.acc.parked) > 0 {
		one("waits no longer for the catalog", despairs, true)
		one("waits no longer for the catalog, unheard", despairs, false)
	}
	if len(st.pending) > 0 {
		one("flushes", flushes, true)
		one("flushes, unheard", flushes, false)
	}
	if s.crashes > 0 {
		next(xevent{what: "crashes", who: i}, func(n *xstate) error {
			n.crashes--
			return n.apply(m, i, m.store(s, i, crashes, nil), true)
		})
	}
}

func clone(a *Acceptor) *Acceptor {
	c := *a
	c.out = nil
	reqs := make(map[*request]*request, len(a.requests))
	c.requests = make(map[Token]*request, len(a.requests))
	for t, r := range a.requests {
		n := *r
		c.requests[t], reqs[r] = &n, &n
	}
	list := func(rs []*request) []*request {
		if rs == nil {
			return nil
		}
		out := make([]*request, len(rs))
		for i, r := range rs {
			out[i] = reqs[r]
		}
		return out
	}
	c.parked = list(a.parked)
	c.lanes = make(map[vstack.Slot]*lane, len(a.lanes))
	for s, l := range a.lanes {
		c.lanes[s] = &lane{holder: reqs[l.holder], queue: list(l.queue)}
	}
	slots := map[*slot]*slot{}
	c.volumes = make(map[vstack.VideoID]*volume, len(a.volumes))
	for k, v := range a.volumes {
		n := *v
		n.slots, n.ranged = make(map[place]*slot, len(v.slots)), list(v.ranged)
		for at, x := range v.slots {
			y := *x
			n.slots[at], slots[x] = &y, &y
		}
		c.volumes[k] = &n
	}
	c.groups = make(map[vstack.PG]*group, len(a.groups))
	for pg, g := range a.groups {
		n := *g
		n.seals = list(g.seals)
		n.slots = make(map[vstack.Slot]*slot, len(g.slots))
		for at, x := range g.slots {
			n.slots[at] = slots[x]
		}
		n.staged = make(map[vstack.Epoch]*staging, len(g.staged))
		for e, st := range g.staged {
			m := *st
			m.votes = maps.Clone(st.votes)
			n.staged[e] = &m
		}
		c.groups[pg] = &n
	}
	return &c
}
