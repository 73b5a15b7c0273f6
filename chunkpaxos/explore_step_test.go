package chunkpaxos

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

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

// own replaces a component of a successor by its clone.

func (s *xstate) ownStore(i int) *xstore {
	st := *s.stores[i]
	st.acc = clone(st.acc)
	st.disk, st.votes, st.pending = slices.Clip(st.disk), slices.Clip(st.votes), slices.Clone(st.pending)
	st.origin = maps.Clone(st.origin)
	s.stores[i] = &st
	return &st
}

func (s *xstate) ownProc(i int) *xproc {
	x := *s.procs[i]
	if x.p == nil {
		s.procs[i] = &x
		return &x
	}
	p := *x.p
	p.promises, p.acks, p.refusals, p.stores = maps.Clone(p.promises), maps.Clone(p.acks), maps.Clone(p.refusals), maps.Clone(p.stores)
	x.p = &p
	s.procs[i] = &x
	return &x
}

func (s *xstate) ownDriver(i int) *xdriver {
	d := *s.drivers[i]
	s.drivers = slices.Clone(s.drivers)
	s.drivers[i] = &d
	return &d
}

// settle counts every durable vote, and what the active attempt installed.
func (s *xstate) settle() error {
	type at struct {
		e vstack.Epoch
		b vstack.Ballot
	}
	held := map[at]map[int]vstack.Value{}
	add := func(k at, i int, v vstack.Value) {
		if held[k] == nil {
			held[k] = map[int]vstack.Value{}
		}
		held[k][i] = v
	}
	for i, st := range s.stores {
		for _, d := range st.votes {
			add(at{d.Epoch, d.Ballot}, i, d.Value)
		}
		if s.active == 2 {
			if v, ok := st.installed(s.attempt); ok && !v.IsZero() {
				add(at{2, message.InstallBallot(s.attempt)}, i, v)
			}
		}
	}
	for k, by := range held {
		var value vstack.Value
		n := 0
		for i, v := range by {
			if value.Size != 0 && v != value {
				return fmt.Errorf("one value per ballot: %d and %d in epoch %d at %s", v.Size, value.Size, k.e, k.b)
			}
			value = v
			if slices.Contains(xgroups[k.e].Acceptors, store(i)) {
				n++
			}
		}
		if n < vstack.Majority {
			continue
		}
		if s.chosen.Size != 0 && s.chosen != value {
			return fmt.Errorf("agreement: value %d was chosen, and now %d in epoch %d at %s", s.chosen.Size, value.Size, k.e, k.b)
		}
		s.chosen = value
	}
	return nil
}

// installed is what a store's disk has of a complete attempt at epoch 2.
func (st *xstore) installed(attempt uint32) (v vstack.Value, complete bool) {
	for _, d := range st.disk {
		if d.Kind == DurableInstall && d.Ballot.Round == attempt {
			if d.Slot.Video.IsZero() {
				complete = true
			} else {
				v = d.Value
			}
		}
	}
	return v, complete
}

// persist makes records durable and holds them to the invariants.
func (s *xstate) persist(st *xstore, records []Durable) error {
	for _, d := range records {
		if d.Kind == DurableVote || d.Kind == DurablePromise {
			for _, x := range st.disk {
				switch {
				case x.Kind == DurableSeal && d.Epoch <= x.Epoch:
					return fmt.Errorf("a sealed epoch is frozen: epoch %d is written", d.Epoch)
				case (x.Kind == DurablePromise || x.Kind == DurableVote) && x.Epoch == d.Epoch && d.Ballot.Less(x.Ballot):
					return fmt.Errorf("promises are monotone: %s after %s", d.Ballot, x.Ballot)
				case x.Kind == DurableVote && x.Epoch == d.Epoch && d.Kind == DurableVote && d.Ballot.Round == 0 && x.Value != d.Value:
					return errors.New("round 0 only onto an empty slot")
				}
			}
			if d.Epoch > s.active {
				return fmt.Errorf("one active epoch: a vote in epoch %d", d.Epoch)
			}
			if v, ok := st.installed(s.attempt); d.Epoch == 2 && (!ok || d.Kind == DurableVote && d.Ballot.Round == 0 && v.Size != 0 && v != d.Value) {
				return errors.New("a new epoch votes only with its install")
			}
		}
		if d.Kind == DurableVote {
			st.votes = append(st.votes, d)
		}
		st.disk = keep(st.disk, d)
	}
	return s.settle()
}

// keep adds a record to a disk that keeps no more than Durable asks for.
func keep(disk []Durable, d Durable) []Durable {
	out := make([]Durable, 0, len(disk)+1)
	for _, x := range disk {
		same := x.Kind == d.Kind && x.Epoch == d.Epoch
		switch d.Kind {
		case DurableVote, DurablePromise, DurableSeal, DurableAmnesia: // rising
			same = x.Kind == d.Kind
		case DurableInstall:
			same = same && (x.Ballot.Round < d.Ballot.Round || x.Slot == d.Slot)
		}
		if !same {
			out = append(out, x)
		}
	}
	return append(out, d)
}

// run carries out a store's effects; answered says whether answers arrive.
func (s *xstate) run(b bound, i int, st *xstore, effects []Effect, answered bool) error {
	for _, e := range effects {
		var more []Effect
		switch e := e.(type) {
		case Append:
			if b.async {
				st.pending = append(st.pending, xappend{e.Token, e.Records})
				continue
			}
			if err := s.persist(st, e.Records); err != nil {
				return err
			}
			more = st.acc.Step(AppendDone{Token: e.Token})
		case FetchBytes:
			more = st.acc.Step(BytesReady{Token: e.Token, Stored: e.Store})
		case Respond:
			m := st.origin[e.Token]
			delete(st.origin, e.Token)
			if err := s.respond(b, st, m, e.Reply, answered); err != nil {
				return err
			}
		case Alarm:
			return fmt.Errorf("no false alarm: %s", e.Detail)
		}
		if err := s.run(b, i, st, more, answered); err != nil {
			return err
		}
	}
	return nil
}

// respond brings an answer to who waits for it.
func (s *xstate) respond(b bound, st *xstore, m xmsg, r message.Reply, answered bool) error {
	switch r := r.(type) {
	case message.Sealed:
		if !slices.ContainsFunc(st.disk, func(d Durable) bool { return d.Kind == DurableSeal && d.Epoch >= r.Epoch }) {
			return errors.New("a sealed epoch is frozen: the seal is not on disk")
		}
	case message.Accepted:
		if !slices.ContainsFunc(st.votes, func(d Durable) bool { return d.Ballot == r.Ballot && d.Value == r.Value }) {
			if _, ok := st.installed(r.Ballot.Round); !ok {
				return errors.New("acknowledged means durable")
			}
		}
	}
	if !answered || !s.current(m) {
		return nil
	}
	if m.driver {
		d := s.ownDriver(m.from)
		err := s.change(m.from, d, d.r.Step(epochchange.Answer{Call: m.drive, Reply: b.mutant.driver.reply(r)}))
		d.encode()
		return err
	}
	x := s.ownProc(m.from)
	err := s.act(m.from, x, x.p.Step(Answer{Call: m.call, Reply: r}))
	x.encode()
	return err
}

// successors calls yield with every state that one event leads to.
func (s *xstate) successors(b bound, yield func(*xstate, error)) {
	next := func(event string, f func(*xstate) error) {
		n := *s
		n.from, n.event = s, event
		err := f(&n)
		if err == nil {
			n.prune()
		}
		yield(&n, err)
	}
	for k, m := range s.net {
		for _, answered := range []bool{true, false} {
			if !answered && !s.current(m) {
				continue // the same state
			}
			next(fmt.Sprintf("%v %d → %d %T %+v, answered %v", m.driver, m.from, m.to, m.msg, m.call.Ballot, answered), func(n *xstate) error {
				n.net = slices.Delete(slices.Clone(n.net), k, k+1)
				i := m.to
				st := n.ownStore(i)
				t := Token(1)
				for st.acc.requests[t] != nil {
					t++
				}
				st.origin[t] = m
				err := n.run(b, i, st, st.acc.Step(Request{Token: t, Msg: m.msg, HasBytes: m.withBytes}), answered)
				if _, waits := st.origin[t]; waits && !answered {
					return errSame // the answer is decided when it is given
				}
				st.encode()
				return err
			})
		}
	}
	for i, st := range s.stores {
		s.storeEvents(b, i, st, next)
	}
	for i, x := range s.procs {
		switch {
		case x.p == nil && (!b.late || s.active == 1):
		case x.p != nil && (x.p.phase == preparing || x.p.phase == accepting):
			next(fmt.Sprintf("%d times out", i), func(n *xstate) error {
				x := n.ownProc(i)
				err := n.act(i, x, x.p.Step(Timeout{Token: x.p.timer}))
				x.encode()
				return err
			})
		case x.p == nil || x.fails && x.again > 0 && s.active > x.p.cfg.Epoch:
			next(fmt.Sprintf("%d proposes in epoch 2", i), func(n *xstate) error {
				x := n.ownProc(i)
				x.again--
				err := b.propose(n, i, x)
				x.encode()
				return err
			})
		}
	}
	for i, d := range s.drivers {
		if st := d.r.State(); !d.r.Done() && st.Tries < b.tries {
			next(fmt.Sprintf("driver %d asks again", i), func(n *xstate) error { return n.askAgain(i, st) })
		}
	}
	if len(s.drivers) < b.drivers && s.active == 1 {
		next("another driver begins", func(n *xstate) error { return b.drive(n) })
	}
}

// askAgain lets everybody whom a driver waits for be silent up to the deadline.
func (s *xstate) askAgain(i int, st epochchange.State) error {
	d := s.ownDriver(i)
	acceptors := d.acceptors(st)
	for k, p := range st.Peers {
		call := epochchange.Call{To: acceptors[k], Install: st.Stage > epochchange.Sealing, Page: p.Page}
		if err := s.change(i, d, d.r.Step(epochchange.Unreachable{Call: call, Err: vstack.ErrTimeout})); err != nil {
			return err
		}
	}
	err := s.change(i, d, d.r.Step(epochchange.Timeout{Token: d.timer}))
	d.encode()
	return err
}

var errSame = errors.New("the same state as another event's")

func (s *xstate) storeEvents(b bound, i int, st *xstore, next func(string, func(*xstate) error)) {
	if st.view < s.active {
		next(fmt.Sprintf("%d hears of epoch 2", i), func(n *xstate) error {
			st := n.ownStore(i)
			st.view = n.active
			err := n.run(b, i, st, st.acc.Step(CatalogChange{Applied: 5, Groups: []Group{xgroup(2, n.attempt)}}), true)
			st.encode()
			return err
		})
	}
	if len(st.pending) > 0 {
		for _, answered := range []bool{true, false} {
			next(fmt.Sprintf("%d flushes, answered %v", i, answered), func(n *xstate) error {
				st := n.ownStore(i)
				p := st.pending[0]
				st.pending = st.pending[1:]
				if err := n.persist(st, p.records); err != nil {
					return err
				}
				err := n.run(b, i, st, st.acc.Step(AppendDone{Token: p.token}), answered)
				st.encode()
				return err
			})
		}
	}
	if s.crashes > 0 {
		next(fmt.Sprintf("%d crashes", i), func(n *xstate) error {
			n.crashes--
			st := n.ownStore(i)
			st.view = max(st.view, n.active) // "applied up to the first echo's index"
			return n.boot(b, st, i)
		})
	}
}

// fingerprints is a set of 64-bit hashes in shards that lock apart.
type fingerprints [64]shard

type shard struct {
	sync.Mutex
	table []uint64
	n     int
}

func (s *shard) put(h uint64) bool {
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			return true
		}
	}
}

// add reports whether the hash is new.
func (f *fingerprints) add(h uint64) bool {
	s := &f[h>>58]
	s.Lock()
	defer s.Unlock()
	if 4*s.n >= 3*len(s.table) {
		old := s.table
		s.table = make([]uint64, max(1024, 2*len(old)))
		for _, x := range old {
			if x != 0 {
				s.put(x)
			}
		}
	}
	if !s.put(h) {
		return false
	}
	s.n++
	return true
}
