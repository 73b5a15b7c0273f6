package chunkpaxos

import (
	"math/rand/v2"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// The model: one slot; acceptors A, B, C of epoch 1 and A, B, D of epoch 2; the
// uploader P with round 0 and value 1, the contender Q with value 2; up to two drivers
// of the epoch change. Acceptor, Proposer and Reconfigurer are the real ones.
//
// A state is a tuple of immutable parts, which states share. What a part does with an
// input is computed once and looked up from then on, so a step of the whole costs a few
// look-ups and a hash.
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
	crashes  int  // of stores, each of which loses what it has not flushed
	async    bool // appends take time
	losses   int  // of answers; anyNumber, or none
	mutant   mutant
}

// How many answers a bound loses, beside those that come too late to be listened to.
// Requests are lost, late and reordered in all of them.
const (
	anyNumber = 0
	none      = -1
)

type xstate struct {
	stores  [4]*xstore
	procs   [2]*xproc
	drivers []*xdriver
	net     []*xmsg // requests on their way, sorted
	active  vstack.Epoch
	attempt uint32 // that was activated
	next    uint32 // the last one issued
	crashes int
	losses  int    // left, if the bound has any
	chosen  uint32 // the size of the value, 0: none

	from  *xstate // for the trace
	event xevent
}

// xevent is how a state came to be.
type xevent struct {
	what     string
	who      int
	msg      *xmsg
	answered bool
}

// xstore is a store with its process.
type xstore struct {
	i       int
	acc     *Acceptor
	view    vstack.Epoch
	disk    []Durable // what Durable says a log must keep
	votes   []Durable // every vote ever durable
	pending []xappend
	origin  map[Token]*xmsg
	hash    uint64
	bar     vstack.Ballot // what an accept has to reach
	group   *group        // of the slot
}

type xappend struct {
	token   Token
	records []Durable
}

type xproc struct {
	i     int
	p     *Proposer // nil: it has not begun
	used  vstack.Ballot
	fails bool
	again int // proposals left in epoch 2
	hash  [2]uint64
}

type xdriver struct {
	i       int
	r       epochchange.Reconfigurer // a value: a copy is another machine in the same state
	state   epochchange.State
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
	body      uint64 // the hash of all but the store
	hash      [2]uint64
}

var (
	xslot   = vstack.Slot{Video: simVideo, Seq: 1}
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
func (b *bound) initial(m *memo) (*xstate, error) {
	s := &xstate{active: 1, crashes: b.crashes, losses: max(b.losses, 0), event: xevent{what: "start"}}
	for i := range s.stores {
		st := &xstore{i: i, view: 1}
		if err := st.boot(b, 0); err != nil {
			return nil, err
		}
		s.stores[i] = st
	}
	for i := range s.procs {
		x := &xproc{i: i, again: b.again}
		if i == 1 && b.late {
			x.again = 1
		}
		x.encode()
		s.procs[i] = x
		if i == 0 || b.contend && !b.late {
			if err := s.advance(m, i, xinput{kind: proposes, epoch: 1}); err != nil {
				return nil, err
			}
		}
	}
	if b.drivers > 0 {
		return s, s.drive(m)
	}
	return s, nil
}

// boot starts a store's process from its disk.
func (st *xstore) boot(b *bound, attempt uint32) error {
	acc, err := NewAcceptor(AcceptorConfig{Store: store(st.i)})
	if err != nil {
		return err
	}
	acc.mutant = b.mutant.acceptor
	for _, d := range st.disk {
		acc.Restore(d)
	}
	st.acc, st.pending, st.origin = acc, nil, map[Token]*xmsg{}
	g := xgroup(st.view, 0)
	if st.view == 2 {
		g.Attempt = attempt
	}
	acc.Step(CatalogChange{Applied: 5, Uploads: []vstack.Upload{xupload}, Groups: []Group{g}})
	acc.Step(Echo{Index: 5})
	st.encode()
	return nil
}

// proposer is a new proposal of process x.
func (b *bound) proposer(x *xproc, e vstack.Epoch) (*Proposer, error) {
	p, err := NewProposer(ProposerConfig{
		Slot: xslot, Epoch: e, Acceptors: xgroups[e].Acceptors, Upload: xupload,
		Value:    vstack.Value{Chunk: vstack.ChunkIDOf([]byte{byte(x.i)}), Size: uint32(x.i + 1)},
		Proposer: vstack.ProposerID(id(byte(x.i + 1))), Fast: x.i == 0, After: x.used, Rand: xrand, MaxAttempts: b.attempts,
	})
	if err == nil {
		p.mutant = b.mutant.proposer
	}
	return p, err
}

// drive issues the next attempt to a new driver.
func (s *xstate) drive(m *memo) error {
	s.next++
	cfg := m.b.mutant.driver.config(xgroup(1, 0), xgroup(2, s.next))
	cfg.MaxTries = m.b.tries + 1
	r, err := epochchange.New(cfg)
	if err != nil {
		return err
	}
	d := &xdriver{i: len(s.drivers), r: *r, old: cfg.Old, attempt: s.next}
	d.encode()
	s.drivers = append(slices.Clip(s.drivers), d)
	return s.change(m, d.i, dinput{kind: begins})
}

// acceptors are those that a driver asks in its stage.
func (d *xdriver) acceptors() []vstack.StoreID {
	if d.state.Stage > epochchange.Sealing {
		return xgroups[2].Acceptors
	}
	return d.old
}

// send puts a request on its way; one that is there already is the same one.
func (s *xstate) send(m *xmsg) {
	i, there := slices.BinarySearchFunc(s.net, m, compareMsgs)
	if !there {
		s.net = slices.Insert(slices.Clone(s.net), i, m)
	}
}

func compareMsgs(a, b *xmsg) int {
	switch {
	case a.hash[0] < b.hash[0]:
		return -1
	case a.hash[0] > b.hash[0]:
		return 1
	}
	return 0
}

// current reports whether an answer would still be listened to.
func (s *xstate) current(m *xmsg) bool {
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
	for i, m := range s.net {
		if s.dead(m) {
			kept := append(make([]*xmsg, 0, len(s.net)-1), s.net[:i]...)
			for _, m := range s.net[i+1:] {
				if !s.dead(m) {
					kept = append(kept, m)
				}
			}
			s.net = kept
			return
		}
	}
}

func (s *xstate) dead(m *xmsg) bool {
	if s.current(m) {
		return false
	}
	st := s.stores[m.to]
	g := st.group
	switch x := m.msg.(type) {
	case message.Accept:
		return x.Epoch < g.epoch || x.Epoch <= g.sealed || x.Epoch == g.epoch && len(st.pending) == 0 && x.Ballot.Less(st.bar)
	case message.Prepare:
		return x.Epoch < g.epoch || x.Epoch <= g.sealed || x.Epoch == g.epoch && len(st.pending) == 0 && x.Ballot.Less(st.bar)
	case message.Seal:
		return x.Epoch < g.epoch
	case message.Install:
		return x.Epoch < g.epoch || x.Epoch == g.epoch && (x.Attempt != g.attempt || g.installed == g.epoch)
	}
	return false
}

func index(s vstack.StoreID) int { return int(s[15]) - 0xa0 }
