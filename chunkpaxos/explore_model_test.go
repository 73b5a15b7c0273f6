package chunkpaxos

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// The model: one slot; acceptors A, B, C of epoch 1 and A, B, D of epoch 2; the
// uploader P with round 0 and value 1, the contender Q with value 2; up to two drivers
// of the epoch change. Acceptor, Proposer and Reconfigurer are the real ones. A state
// is never changed: what steps is cloned, the rest is shared with the state before.
//
// Two reductions lose no violation. An answer arrives at once or never: a late one
// changes only its proposer, whose next messages may be arbitrarily late themselves.
// A back-off and the wait for the last acknowledgement take no time, for the same
// reason. A and B are interchangeable: of a state and its mirror image one is kept.

// bound is how far a model goes.
type bound struct {
	name     string
	contend  bool // Q takes part
	late     bool // Q begins once epoch 2 is active
	attempts int  // of each proposal
	again    int  // proposals of each process in epoch 2
	drivers  int  // 0: no epoch change
	tries    int  // of each driver
	crashes  int  // of stores, one of which loses what it has not flushed
	async    bool // appends take time
	mutant   mutant
}

type xstate struct {
	stores  [4]*xstore
	procs   [2]*xproc
	drivers []*xdriver
	net     []xmsg // requests on their way, sorted
	active  vstack.Epoch
	attempt uint32 // that was activated
	next    uint32 // the last one issued
	crashes int
	chosen  vstack.Value

	from  *xstate // for the trace
	event string
}

type xstore struct {
	acc     *Acceptor
	view    vstack.Epoch
	disk    []Durable // what Durable says a log must keep
	votes   []Durable // every vote ever durable
	pending []xappend
	origin  map[Token]xmsg
	hash    uint64
}

type xappend struct {
	token   Token
	records []Durable
}

type xproc struct {
	p     *Proposer // nil: Q is not in this model
	used  vstack.Ballot
	fails bool
	again int // proposals left in epoch 2
	hash  [2]uint64
}

type xdriver struct {
	r       epochchange.Reconfigurer // a value: a copy is another machine in the same state
	old     []vstack.StoreID
	attempt uint32
	timer   uint64
	hash    [2]uint64
}

// xmsg is a request of proposer or driver from, to a store.
type xmsg struct {
	driver    bool
	from, to  int
	call      Call             // of a proposer
	drive     epochchange.Call // of a driver
	msg       message.Message
	withBytes bool
	hash      [2]uint64
}

var (
	xslot   = vstack.Slot{Video: simVideo, Seq: 1}
	xseed   = maphash.MakeSeed()
	xrand   = rand.New(sameSource{})
	xupload = vstack.Upload{
		ID: simUploadID, Video: simVideo, State: vstack.UploadOpen, Incarnation: 1, Owner: vstack.ProposerID(id(1)), Index: 5,
	}
	xgroups = [3]Group{
		1: {PG: xslot.PG(), Epoch: 1, Acceptors: []vstack.StoreID{store(0), store(1), store(2)}},
		2: {PG: xslot.PG(), Epoch: 2, Acceptors: []vstack.StoreID{store(0), store(1), store(3)}},
	}
)

type sameSource struct{}

func (sameSource) Uint64() uint64 { return 0x9e3779b97f4a7c15 } // a state of its own would be no part of xstate

func xgroup(e vstack.Epoch, attempt uint32) Group {
	g := xgroups[e]
	g.Attempt = attempt
	return g
}

// initial is the state in which everybody has begun.
func (b bound) initial() (*xstate, error) {
	s := &xstate{active: 1, crashes: b.crashes, event: "start"}
	for i := range s.stores {
		s.stores[i] = &xstore{view: 1, origin: map[Token]xmsg{}}
		if err := s.boot(b, s.stores[i], i); err != nil {
			return nil, err
		}
	}
	for i := range s.procs {
		s.procs[i] = &xproc{again: b.again}
		if i == 1 && b.late {
			s.procs[i].again = 1
		}
		if i == 0 || b.contend && !b.late {
			if err := b.propose(s, i, s.procs[i]); err != nil {
				return nil, err
			}
		}
		s.procs[i].encode()
	}
	if b.drivers > 0 {
		return s, b.drive(s)
	}
	return s, nil
}

// boot starts a store's process from its disk.
func (s *xstate) boot(b bound, st *xstore, i int) error {
	acc, err := NewAcceptor(AcceptorConfig{Store: store(i)})
	if err != nil {
		return err
	}
	acc.mutant = b.mutant.acceptor
	for _, d := range st.disk {
		acc.Restore(d)
	}
	st.acc, st.pending, st.origin = acc, nil, map[Token]xmsg{}
	g := xgroup(st.view, 0)
	if st.view == 2 {
		g.Attempt = s.attempt
	}
	acc.Step(CatalogChange{Applied: 5, Uploads: []vstack.Upload{xupload}, Groups: []Group{g}})
	acc.Step(Echo{Index: 5})
	st.encode()
	return nil
}

// propose begins a proposal of process i in the active epoch.
func (b bound) propose(s *xstate, i int, x *xproc) error {
	p, err := NewProposer(ProposerConfig{
		Slot: xslot, Epoch: s.active, Acceptors: xgroups[s.active].Acceptors, Upload: xupload,
		Value:    vstack.Value{Chunk: vstack.ChunkIDOf([]byte{byte(i)}), Size: uint32(i + 1)},
		Proposer: vstack.ProposerID(id(byte(i + 1))), Fast: i == 0, After: x.used, Rand: xrand, MaxAttempts: b.attempts,
	})
	if err != nil {
		return err
	}
	p.mutant = b.mutant.proposer
	x.p, x.fails = p, false
	return s.act(i, x, p.Step(Start{}))
}

// drive issues the next attempt to a new driver.
func (b bound) drive(s *xstate) error {
	s.next++
	cfg := b.mutant.driver.config(xgroup(1, 0), xgroup(2, s.next))
	cfg.MaxTries = b.tries + 1
	r, err := epochchange.New(cfg)
	if err != nil {
		return err
	}
	d := &xdriver{r: *r, old: cfg.Old, attempt: s.next}
	s.drivers = append(slices.Clip(s.drivers), d)
	err = s.change(len(s.drivers)-1, d, d.r.Step(epochchange.Start{}))
	d.encode()
	return err
}

// act carries out what a proposer wants; pauses end at once.
func (s *xstate) act(i int, x *xproc, actions []Action) error {
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			s.send(xmsg{from: i, to: index(a.Call.To), call: a.Call, msg: a.Msg, withBytes: a.WithBytes})
		case Chosen:
			if s.chosen != a.Value {
				return fmt.Errorf("agreement: %s learned its value, chosen is %d", "PQ"[i:i+1], s.chosen.Size)
			}
		case Conflict:
			if s.chosen != a.Value {
				return fmt.Errorf("agreement: %s learned value %d, chosen is %d", "PQ"[i:i+1], a.Value.Size, s.chosen.Size)
			}
		case Failed:
			x.fails = true
		}
	}
	x.used = x.p.Used()
	if x.p.phase == settling || x.p.phase == backingOff {
		return s.act(i, x, x.p.Step(Timeout{Token: x.p.timer}))
	}
	return nil
}

// change carries out what a driver wants; the catalog activates at once or refuses.
func (s *xstate) change(i int, d *xdriver, actions []epochchange.Action) error {
	for _, a := range actions {
		switch a := a.(type) {
		case epochchange.Send:
			s.send(xmsg{driver: true, from: i, to: index(a.Call.To), drive: a.Call, msg: a.Msg})
		case epochchange.SetTimer:
			d.timer = a.Token
		case epochchange.Activate:
			if s.active == 1 && d.attempt == s.next {
				s.active, s.attempt = 2, d.attempt
				if err := s.settle(); err != nil {
					return err
				}
			}
			var err error
			if s.attempt != d.attempt {
				err = vstack.ErrEpochStale
			}
			if err := s.change(i, d, d.r.Step(epochchange.Activated{Err: err})); err != nil {
				return err
			}
		}
	}
	return nil
}

// send puts a request on its way; one that is there already is the same one.
func (s *xstate) send(m xmsg) {
	m.encode()
	i, there := slices.BinarySearchFunc(s.net, m, compareMsgs)
	if !there {
		s.net = slices.Insert(slices.Clone(s.net), i, m)
	}
}

func compareMsgs(a, b xmsg) int {
	switch {
	case a.hash[0] < b.hash[0]:
		return -1
	case a.hash[0] > b.hash[0]:
		return 1
	}
	return 0
}

// current reports whether an answer would still be listened to.
func (s *xstate) current(m xmsg) bool {
	if m.driver {
		return s.drivers[m.from].r.Awaits(m.drive)
	}
	p := s.procs[m.from].p
	return p.phase != done && p.cfg.Epoch == epochOf(m.msg) && p.current(m.call)
}

func epochOf(m message.Message) vstack.Epoch {
	switch m := m.(type) {
	case message.Accept:
		return m.Epoch
	case message.Prepare:
		return m.Epoch
	}
	return 0
}

// prune drops requests that can have no effect any more: nobody listens to the
// answer, and the acceptor's epoch or promise, which only rise, refuse them.
func (s *xstate) prune() {
	dead := func(m xmsg) bool {
		st := s.stores[m.to]
		if s.current(m) {
			return false
		}
		g := st.acc.groups[xslot.PG()]
		switch x := m.msg.(type) {
		case message.Accept:
			return x.Epoch < g.epoch || x.Epoch <= g.sealed || x.Epoch == g.epoch && len(st.pending) == 0 && x.Ballot.Less(st.bar())
		case message.Prepare:
			return x.Epoch < g.epoch || x.Epoch <= g.sealed || x.Epoch == g.epoch && len(st.pending) == 0 && x.Ballot.Less(st.bar())
		case message.Seal:
			return x.Epoch < g.epoch
		case message.Install:
			return x.Epoch < g.epoch || x.Epoch == g.epoch && (x.Attempt != g.attempt || g.installed == g.epoch)
		}
		return false
	}
	if slices.ContainsFunc(s.net, dead) {
		s.net = slices.DeleteFunc(slices.Clone(s.net), dead)
	}
}

func (st *xstore) bar() vstack.Ballot {
	if v := st.acc.volumes[simVideo]; v != nil {
		return v.bar(v.peek(xslot))
	}
	return vstack.Ballot{}
}

func index(s vstack.StoreID) int { return int(s[15]) - 0xa0 }

// encode and hash.

type buffer []byte

func (b *buffer) num(n uint64) { *b = binary.AppendUvarint(*b, n) }
func (b *buffer) bit(v bool) {
	if v {
		*b = append(*b, 1)
	} else {
		*b = append(*b, 0)
	}
}
func (b *buffer) ballot(x vstack.Ballot) {
	*b = append(*b, byte(x.Incarnation), byte(x.Round), x.Proposer[15])
}
func (b *buffer) value(v vstack.Value) { *b = append(*b, byte(v.Size)) }
func (b *buffer) durable(d Durable) {
	*b = append(*b, byte(d.Kind), byte(d.Epoch), byte(d.Slot.Seq))
	b.ballot(d.Ballot)
	b.value(d.Value)
}
func (b buffer) sum() uint64 { return maphash.Bytes(xseed, b) }

func (st *xstore) encode() {
	b := make(buffer, 0, 256)
	g := st.acc.groups[xslot.PG()]
	b = append(b, byte(st.view), byte(g.epoch), byte(g.attempt), byte(g.sealed), byte(g.amnesic), byte(g.installed), byte(g.sealing), byte(g.inflight), byte(len(g.seals)))
	b.bit(g.member)
	for _, e := range []vstack.Epoch{1, 2} {
		if x := g.staged[e]; x != nil {
			b = append(b, 0xee, byte(e), byte(x.attempt), byte(len(x.votes)))
			b.bit(x.complete)
			b.bit(x.votes == nil)
			b.value(x.votes[xslot].Value)
		}
	}
	if v := st.acc.volumes[simVideo]; v != nil {
		x := v.peek(xslot)
		b = append(b, 0xef, byte(x.epoch))
		b.ballot(x.promised)
		b.ballot(x.accepted)
		b.value(x.value)
	}
	for _, ds := range [][]Durable{st.disk, st.votes} {
		b = append(b, 0xff, byte(len(ds)))
		for _, d := range ds {
			b.durable(d)
		}
	}
	for _, p := range st.pending {
		b = append(b, 0xfe, byte(p.token))
		for _, d := range p.records {
			b.durable(d)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(st.origin)) {
		m := st.origin[t]
		b = append(b, 0xfd, byte(t), byte(st.acc.requests[t].stage))
		b.num(m.hash[0]) // the store is this one, so that the mirror image needs no other
	}
	st.hash = b.sum()
}

// stores in the order of a state or of its mirror image.
var orders = [2][4]int{{0, 1, 2, 3}, {1, 0, 2, 3}}

func (x *xproc) encode() {
	if x.p == nil {
		return
	}
	p := x.p
	for o, order := range orders {
		b := make(buffer, 0, 128)
		b = append(b, byte(p.phase), byte(p.cfg.Epoch), byte(p.attempts), byte(x.again))
		b.bit(x.fails)
		for _, y := range []vstack.Ballot{p.ballot, p.used, p.seen} {
			b.ballot(y)
		}
		b.value(p.value)
		if p.phase == done { // what is left of its last phase has no effect any more
			x.hash[o] = b.sum()
			continue
		}
		for _, i := range order {
			at := store(i)
			m, ok := p.promises[at]
			b.bit(ok && p.phase == preparing)
			if ok && p.phase == preparing {
				b.ballot(m.Accepted)
				b.value(m.Value)
			}
			b.bit(p.acks[at])
			b.bit(p.refusals[at] != nil)
			if p.refusals[at] != nil {
				b = append(b, vstack.SentinelOf(p.refusals[at]).Code()...)
			}
			b.bit(p.stores[at])
		}
		x.hash[o] = b.sum()
	}
}

// acceptors are those that a driver asks in its stage.
func (d *xdriver) acceptors(st epochchange.State) []vstack.StoreID {
	if st.Stage > epochchange.Sealing {
		return xgroups[2].Acceptors
	}
	return d.old
}

func (d *xdriver) encode() {
	st := d.r.State()
	for o, order := range orders {
		b := make(buffer, 0, 128)
		b = append(b, byte(st.Stage), byte(st.Tries))
		acceptors := d.acceptors(st)
		for _, i := range order {
			if k := slices.Index(acceptors, store(i)); k >= 0 && k < len(st.Peers) {
				p := st.Peers[k]
				b = append(b, byte(p.Page))
				b.bit(p.Asked)
				b.bit(p.Complete)
				b.bit(p.Lost)
			}
		}
		for _, v := range st.Votes {
			b = append(b, byte(v.Epoch))
			b.ballot(v.Ballot)
			b.value(v.Value)
		}
		d.hash[o] = b.sum()
	}
}

func (m *xmsg) encode() {
	for o, order := range orders {
		b := make(buffer, 0, 64)
		b.bit(m.driver)
		b = append(b, byte(m.from), byte(order[m.to]))
		b.bit(m.withBytes)
		switch x := m.msg.(type) {
		case message.Accept:
			b = append(b, 'A', byte(x.Epoch))
			b.ballot(x.Ballot)
			b.value(x.Value)
		case message.Prepare:
			b = append(b, 'P', byte(x.Epoch))
			b.ballot(x.Ballot)
		case message.Seal:
			b = append(b, 'S', byte(x.Epoch))
		case message.Install:
			b = append(b, 'I', byte(x.Epoch), byte(x.Attempt))
			for _, v := range x.Votes {
				b.value(v.Value)
			}
		}
		m.hash[o] = b.sum()
	}
}

// fingerprint is the hash of a state or of its mirror image, whichever is less.
func (s *xstate) fingerprint() uint64 {
	var sums [2]uint64
	for o, order := range orders {
		b := make(buffer, 0, 512)
		b = append(b, byte(s.active), byte(s.attempt), byte(s.next), byte(s.crashes))
		b.value(s.chosen)
		for _, i := range order {
			b = binary.LittleEndian.AppendUint64(b, s.stores[i].hash)
		}
		for _, p := range s.procs {
			b = binary.LittleEndian.AppendUint64(b, p.hash[o])
		}
		for _, d := range s.drivers {
			b = binary.LittleEndian.AppendUint64(b, d.hash[o])
		}
		var net uint64 // a set: order does not matter
		for _, m := range s.net {
			net += m.hash[o] * 0x9e3779b97f4a7c15
		}
		b = binary.LittleEndian.AppendUint64(b, net)
		sums[o] = b.sum()
	}
	return max(min(sums[0], sums[1]), 1)
}

func (s *xstate) trace() string {
	var lines []string
	for x := s; x != nil; x = x.from {
		lines = append(lines, x.event)
	}
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}
