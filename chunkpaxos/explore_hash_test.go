package chunkpaxos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Every part of a state is encoded by what it can still do: log positions, timers and
// the names of tokens are left out, the order in which requests wait is not.

var xseed = maphash.MakeSeed()

type buffer []byte

func (b *buffer) num(n uint64) { *b = binary.LittleEndian.AppendUint64(*b, n) }
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
	st.group, st.bar = g, vstack.Ballot{}
	b = append(b, byte(st.view), byte(g.epoch), byte(g.attempt), byte(g.sealed), byte(g.amnesic), byte(g.installed), byte(g.sealing), byte(g.inflight))
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
		st.bar = v.bar(x)
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
		b = append(b, 0xfe)
		b.bit(p.token == 0)
		for _, d := range p.records {
			b.durable(d)
		}
		b.waiting(st, st.acc.requests[p.token])
	}
	if l := st.acc.lanes[xslot]; l != nil {
		b = append(b, 0xfd)
		b.waiting(st, l.holder)
		for _, r := range l.queue {
			b.waiting(st, r)
		}
	}
	for _, r := range g.seals {
		b.waiting(st, r)
	}
	b = append(b, 0xfa)
	for _, r := range st.acc.parked {
		b.waiting(st, r)
	}
	st.hash = b.sum()
}

func (b *buffer) waiting(st *xstore, r *request) {
	if r == nil {
		*b = append(*b, 0xfc)
		return
	}
	*b = append(*b, 0xfb, byte(r.stage))
	b.bit(r.stored)
	b.num(st.origin[r.token].body)
}

// stores in the order of a state or of its mirror image.
var orders = [2][4]int{{0, 1, 2, 3}, {1, 0, 2, 3}}

func (x *xproc) encode() {
	for o, order := range orders {
		b := make(buffer, 0, 128)
		b = append(b, byte(x.i), byte(x.again))
		b.bit(x.fails)
		b.ballot(x.used)
		if p := x.p; p != nil {
			b = append(b, byte(p.phase), byte(p.cfg.Epoch), byte(p.attempts))
			for _, y := range []vstack.Ballot{p.ballot, p.used, p.seen} {
				b.ballot(y)
			}
			b.value(p.value)
			if p.phase != done { // what is left of its last phase has no effect any more
				b.answers(p, order)
			}
		}
		x.hash[o] = b.sum()
	}
}

func (b *buffer) answers(p *Proposer, order [4]int) {
	for _, i := range order {
		at := store(i)
		m, ok := p.promises[at]
		b.bit(ok && p.phase == preparing)
		if ok && p.phase == preparing {
			b.ballot(m.Accepted)
			b.value(m.Value)
		}
		b.bit(p.acks[at])
		b.bit(p.stores[at])
		err := p.refusals[at]
		b.bit(err != nil)
		if err != nil {
			*b = append(*b, vstack.SentinelOf(err).Code()...)
			var r *refusalError
			b.bit(errors.As(err, &r) && r.final)
		}
	}
}

func (d *xdriver) encode() {
	d.state = d.r.State()
	st := d.state
	acceptors := d.acceptors()
	for o, order := range orders {
		b := make(buffer, 0, 128)
		b = append(b, byte(d.i), byte(d.attempt), byte(st.Stage), byte(st.Tries))
		for _, i := range order {
			if k := slices.Index(acceptors, store(i)); k >= 0 && k < len(st.Peers) {
				p := st.Peers[k]
				b = append(b, byte(p.Page))
				b.bit(p.Asked)
				b.bit(p.Complete)
				b.bit(p.Lost)
			} else {
				b = append(b, 0xff)
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
	b := make(buffer, 0, 64)
	b.bit(m.driver)
	b.bit(m.withBytes)
	b = append(b, byte(m.from))
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
	m.body = b.sum()
	for o, order := range orders {
		m.hash[o] = append(b, byte(order[m.to])).sum()
	}
}

// replyHash is what an answer says to who asked.
func replyHash(r message.Reply) uint64 {
	b := make(buffer, 0, 64)
	switch x := r.(type) {
	case message.Accepted:
		b = append(b, 'A', x.Store[15])
		b.ballot(x.Ballot)
		b.value(x.Value)
	case message.Promise:
		b = append(b, 'P', x.Store[15], byte(x.Epoch))
		b.ballot(x.Ballot)
		b.ballot(x.Accepted)
		b.value(x.Value)
	case message.Sealed:
		b = append(b, 'S', x.Store[15], byte(x.Epoch))
		for _, v := range x.Votes {
			b = append(b, byte(v.Epoch))
			b.ballot(v.Ballot)
			b.value(v.Value)
		}
	case message.Installed:
		b = append(b, 'I', x.Store[15], byte(x.Epoch), byte(x.Attempt))
		b.bit(x.Final)
	case message.Nack:
		b = append(b, 'N', x.Store[15], byte(x.Epoch))
		b = append(b, x.Reason.Code()...)
		b.ballot(x.Ballot)
		b.value(x.Value)
	}
	return b.sum()
}

// fingerprint is the hash of a state or of its mirror image, whichever is less.
func (s *xstate) fingerprint() uint64 {
	var sums [2]uint64
	var room [160]byte
	for o, order := range orders {
		b := buffer(room[:0])
		b = append(b, byte(s.active), byte(s.attempt), byte(s.next), byte(s.crashes), byte(s.losses), byte(s.chosen))
		for _, i := range order {
			b.num(s.stores[i].hash)
		}
		for _, p := range s.procs {
			b.num(p.hash[o])
		}
		for _, d := range s.drivers {
			b.num(d.hash[o])
		}
		var net uint64 // a set: order does not matter
		for _, m := range s.net {
			net += m.hash[o] * 0x9e3779b97f4a7c15
		}
		b.num(net)
		sums[o] = b.sum()
	}
	return max(min(sums[0], sums[1]), 1)
}

func (s *xstate) trace() string {
	var lines []string
	for x := s; x != nil; x = x.from {
		line := fmt.Sprintf("%s %d", x.event.what, x.event.who)
		if m := x.event.msg; m != nil {
			line = fmt.Sprintf("%s, answered %v: driver %v %d → %d %T %+v", x.event.what, x.event.answered, m.driver, m.from, m.to, m.msg, m.call.Ballot)
		}
		lines = append(lines, line)
	}
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}

// fingerprints is a set of 64-bit hashes in shards that lock apart. Two states with one
// hash are taken for one: among n states the odds that this happens at all are
// n²/2⁶⁵, which is 3 in a million for ten million states.
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
