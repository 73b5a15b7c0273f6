package chunkpaxos

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// What one part does with one input. A part is never changed: it is cloned, and the
// clone steps. memo remembers the outcome, each worker for itself.
type memo struct {
	b       *bound
	stores  map[storeKey]storeStep
	procs   map[partKey]procStep
	drivers map[partKey]driverStep
	msgs    map[uint64]*xmsg
}

func newMemo(b *bound) *memo {
	return &memo{
		b: b, stores: map[storeKey]storeStep{}, procs: map[partKey]procStep{}, drivers: map[partKey]driverStep{}, msgs: map[uint64]*xmsg{},
	}
}

type inputKind uint8

const (
	delivers inputKind = iota // to a store: a request
	flushes                   // its oldest append
	hears                     // of epoch 2
	despairs                  // of the catalog, for its oldest parked request
	crashes
	proposes // a process begins a proposal
	begins   // a driver
	answers
	expires // what it waits for is silent up to the deadline
	verdict // of the catalog, to a driver
)

type storeKey struct {
	hash, body uint64
	i          int
	kind       inputKind
	active     vstack.Epoch
	attempt    uint32
}

type storeStep struct {
	next    *xstore
	replies []xreply
	wrote   bool // a vote or an install
	waits   bool // the request of this input is not answered yet
	err     error
}

type xreply struct {
	msg   *xmsg
	reply message.Reply
	hash  uint64
}

// store is what store i of s does with an input.
func (m *memo) store(s *xstate, i int, kind inputKind, msg *xmsg) storeStep {
	st := s.stores[i]
	k := storeKey{hash: st.hash, i: i, kind: kind, active: s.active, attempt: s.attempt}
	if msg != nil {
		k.body = msg.body
	}
	step, ok := m.stores[k]
	if !ok {
		step = st.step(m.b, s, kind, msg)
		m.stores[k] = step
	}
	return step
}

func (st *xstore) step(b *bound, s *xstate, kind inputKind, msg *xmsg) storeStep {
	n := *st
	n.disk, n.votes, n.pending = slices.Clip(st.disk), slices.Clip(st.votes), slices.Clone(st.pending)
	step := storeStep{next: &n}
	if kind == crashes {
		n.view = max(st.view, s.active) // "applied up to the first echo's index"
		step.err = n.boot(b, s.attempt)
		return step
	}
	n.acc, n.origin = clone(st.acc), maps.Clone(st.origin)
	switch kind {
	case delivers:
		t := Token(1)
		for n.acc.requests[t] != nil {
			t++
		}
		n.origin[t] = msg
		step.err = n.run(b, s, &step, n.acc.Step(Request{Token: t, Msg: msg.msg, HasBytes: msg.withBytes}))
		_, step.waits = n.origin[t]
	case flushes:
		p := n.pending[0]
		n.pending = n.pending[1:]
		if step.err = n.persist(s, &step, p.records); step.err == nil {
			step.err = n.run(b, s, &step, n.acc.Step(AppendDone{Token: p.token}))
		}
	case despairs:
		step.err = n.run(b, s, &step, n.acc.Step(Timeout{Token: n.acc.parked[0].token}))
	case hears:
		n.view = s.active
		step.err = n.run(b, s, &step, n.acc.Step(CatalogChange{Applied: 5, Groups: []Group{xgroup(2, s.attempt)}}))
	}
	n.encode()
	return step
}

// run carries out a store's effects.
func (st *xstore) run(b *bound, s *xstate, step *storeStep, effects []Effect) error {
	for _, e := range effects {
		var more []Effect
		switch e := e.(type) {
		case Append:
			if b.async {
				st.pending = append(st.pending, xappend{e.Token, e.Records})
				continue
			}
			if err := st.persist(s, step, e.Records); err != nil {
				return err
			}
			more = st.acc.Step(AppendDone{Token: e.Token})
		case FetchBytes:
			more = st.acc.Step(BytesReady{Token: e.Token, Stored: e.Store})
		case Respond:
			m := st.origin[e.Token]
			delete(st.origin, e.Token)
			if err := st.respond(e.Reply); err != nil {
				return err
			}
			step.replies = append(step.replies, xreply{m, e.Reply, replyHash(e.Reply)})
		case Alarm:
			return fmt.Errorf("no false alarm: %s", e.Detail)
		}
		if err := st.run(b, s, step, more); err != nil {
			return err
		}
	}
	return nil
}

// respond holds an answer to the invariants.
func (st *xstore) respond(r message.Reply) error {
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
	return nil
}

// persist makes records durable and holds them to the invariants.
func (st *xstore) persist(s *xstate, step *storeStep, records []Durable) error {
	for _, d := range records {
		if d.Kind == DurableVote || d.Kind == DurablePromise {
			if err := st.allowed(s, d); err != nil {
				return err
			}
		}
		if d.Kind == DurableVote {
			st.votes = append(st.votes, d)
		}
		step.wrote = step.wrote || d.Kind == DurableVote || d.Kind == DurableInstall
		st.disk = keep(st.disk, d)
	}
	return nil
}

func (st *xstore) allowed(s *xstate, d Durable) error {
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

type partKey struct {
	hash, in uint64
	kind     inputKind
}

type procStep struct {
	next    *xproc
	sends   []*xmsg
	learned []uint32 // sizes of values
	err     error
}

// xinput is what happens to a process.
type xinput struct {
	kind  inputKind
	epoch vstack.Epoch // proposes
	xreply
}

func (in xinput) key() uint64 {
	if in.kind == answers {
		return in.msg.hash[0]*0x9e3779b97f4a7c15 + in.hash
	}
	return uint64(in.epoch)
}

// proc is what a process does with an input; pauses end at once.
func (m *memo) proc(x *xproc, in xinput) procStep {
	k := partKey{x.hash[0], in.key(), in.kind}
	step, ok := m.procs[k]
	if !ok {
		step = m.stepProc(x, in)
		m.procs[k] = step
	}
	return step
}

func (m *memo) stepProc(old *xproc, in xinput) procStep {
	x := *old
	step := procStep{next: &x}
	var actions []Action
	if in.kind == proposes {
		if x.p != nil || m.b.late && x.i == 1 {
			x.again--
		}
		if x.p, step.err = m.b.proposer(&x, in.epoch); step.err != nil {
			return step
		}
		x.fails = false
		actions = x.p.Step(Start{})
	} else {
		p := *x.p
		p.promises, p.acks, p.refusals, p.stores = maps.Clone(p.promises), maps.Clone(p.acks), maps.Clone(p.refusals), maps.Clone(p.stores)
		x.p = &p
		if in.kind == answers {
			actions = p.Step(Answer{Call: in.msg.call, Reply: in.reply})
		} else {
			actions = p.Step(Timeout{Token: p.timer})
		}
	}
	for x.p.phase == settling || x.p.phase == backingOff {
		actions = append(actions, x.p.Step(Timeout{Token: x.p.timer})...)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			step.sends = append(step.sends, m.intern(xmsg{from: x.i, to: index(a.Call.To), call: a.Call, msg: a.Msg, withBytes: a.WithBytes}))
		case Chosen:
			step.learned = append(step.learned, a.Value.Size)
		case Conflict:
			step.learned = append(step.learned, a.Value.Size)
		case Failed:
			x.fails = true
		}
	}
	x.used = x.p.Used()
	x.encode()
	return step
}

func (m *memo) intern(msg xmsg) *xmsg {
	msg.encode()
	if old := m.msgs[msg.hash[0]]; old != nil {
		return old
	}
	m.msgs[msg.hash[0]] = &msg
	return &msg
}

type driverStep struct {
	next      *xdriver
	sends     []*xmsg
	activates bool
}

// dinput is what happens to a driver.
type dinput struct {
	kind inputKind
	err  error // verdict
	xreply
}

func (in dinput) key() uint64 {
	switch {
	case in.kind == answers:
		return in.msg.hash[0]*0x9e3779b97f4a7c15 + in.hash
	case in.err != nil:
		return 1
	}
	return 0
}

func (m *memo) driver(d *xdriver, in dinput) driverStep {
	k := partKey{d.hash[0], in.key(), in.kind}
	step, ok := m.drivers[k]
	if !ok {
		step = m.stepDriver(d, in)
		m.drivers[k] = step
	}
	return step
}

func (m *memo) stepDriver(old *xdriver, in dinput) driverStep {
	d := *old
	step := driverStep{next: &d}
	var actions []epochchange.Action
	switch in.kind {
	case begins:
		actions = d.r.Step(epochchange.Start{})
	case answers:
		actions = d.r.Step(epochchange.Answer{Call: in.msg.drive, Reply: m.b.mutant.driver.reply(in.reply)})
	case verdict:
		actions = d.r.Step(epochchange.Activated{Err: in.err})
	case expires: // whom it waits for is silent, and the pause ends
		for k, p := range old.state.Peers {
			call := epochchange.Call{To: old.acceptors()[k], Install: old.state.Stage > epochchange.Sealing, Page: p.Page}
			actions = append(actions, d.r.Step(epochchange.Unreachable{Call: call, Err: vstack.ErrTimeout})...)
		}
		for _, a := range actions {
			if t, ok := a.(epochchange.SetTimer); ok {
				d.timer = t.Token
			}
		}
		actions = append(actions, d.r.Step(epochchange.Timeout{Token: d.timer})...)
	}
	for _, a := range actions {
		switch a := a.(type) {
		case epochchange.Send:
			step.sends = append(step.sends, m.intern(xmsg{driver: true, from: d.i, to: index(a.Call.To), drive: a.Call, msg: a.Msg}))
		case epochchange.SetTimer:
			d.timer = a.Token
		case epochchange.Activate:
			step.activates = true
		}
	}
	d.encode()
	return step
}
