package chunkpaxos

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

var errIO = errors.New("input/output error")

// simStore is a datanode's store: an Acceptor over a log that is durable only after
// a flush, which all waiting appends share.
type simStore struct {
	w    *world
	id   vstack.StoreID
	name string
	life int // counts the process's starts; what an earlier life had under way is gone

	log   []Durable // durable, in order
	lsn   vstack.LSN
	bytes map[vstack.ChunkID]bool // durable

	acc       *Acceptor // nil: the process is down
	pending   []pendingAppend
	tokens    Token
	answers   map[Token]func(message.Reply)
	carried   map[Token]vstack.Value // bytes that came with a request or were fetched
	applied   uint64                 // catalog index told in this life
	live      bool                   // what it was told of the upload
	failNext  bool                   // the next flush meets an I/O error
	failed    bool                   // it did, in this life
	forgetful bool                   // its disk was rolled back: records are gone
	gone      bool                   // its disk was lost; an empty directory is a new store
	stopped   time.Duration
	lost      map[vstack.PG]vstack.Epoch // in which it has forgotten votes
	kept      vstack.LSN                 // what the rolled-back disk still had
	told      bool                       // somebody has told it of an LSN above
	echoed    bool                       // in this life; before, a heartbeat tells what was recovered
}

type pendingAppend struct {
	token   Token
	records []Durable
	bytes   []vstack.ChunkID
}

// boot starts the process: recover the log, ask the catalog.
func (s *simStore) boot() {
	s.life++
	acc, err := NewAcceptor(AcceptorConfig{Store: s.id, LSN: s.lsn, CatchUp: 10 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	acc.mutant = s.w.plan.mutant.acceptor
	s.acc, s.pending, s.tokens = acc, nil, 0
	s.answers, s.carried = map[Token]func(message.Reply){}, map[Token]vstack.Value{}
	s.applied, s.live, s.failed, s.stopped, s.echoed = 0, false, false, 0, false
	records := s.recover()
	s.w.rnd.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for _, d := range records {
		acc.Restore(d)
	}
	s.w.cat.feedTo(s, s.life)
	s.beat(s.life)
}

// beat is the heartbeat's answer, which brings the echo.
func (s *simStore) beat(life int) {
	s.w.after(s.w.plan.delay(s.w.rnd), func() {
		switch {
		case s.life != life || s.acc == nil:
		case s.w.isCut("catalog", s.name) || s.stopped > s.w.now:
			s.beat(life)
		default:
			s.echoed = true
			s.hear(s.w.cat.echo[s.id])
			s.step(Echo{LSN: s.w.cat.echo[s.id], Current: s.lastDurable(), Index: s.w.cat.index})
		}
	})
}

// hear notes whether a store that lost records has been told so.
func (s *simStore) hear(echo vstack.LSN) {
	if s.forgetful && !s.told && echo > s.kept {
		s.told = true
	}
}

// recover is what the log gives back: everything but what a Forget covers, and what
// Durable allows it to drop.
func (s *simStore) recover() []Durable {
	var live []Durable
	for _, d := range s.log {
		if d.Kind == DurableForget {
			live = slices.DeleteFunc(live, func(x Durable) bool { return x.Upload == d.Upload })
			continue
		}
		live = append(live, d)
	}
	type at struct {
		pg    vstack.PG
		epoch vstack.Epoch
	}
	newest, attempt := map[vstack.PG]vstack.Epoch{}, map[at]uint32{}
	for _, d := range live {
		if d.Kind == DurableInstall {
			newest[d.PG] = max(newest[d.PG], d.Epoch)
			attempt[at{d.PG, d.Epoch}] = max(attempt[at{d.PG, d.Epoch}], d.Ballot.Round)
		}
	}
	return slices.DeleteFunc(live, func(d Durable) bool {
		return d.Kind == DurableInstall && (d.Epoch+1 < newest[d.PG] || d.Ballot.Round < attempt[at{d.PG, d.Epoch}])
	})
}

// crash ends the process: of what was not flushed, any prefix may have reached the disk.
func (s *simStore) crash(how string) {
	if s.acc == nil {
		return
	}
	s.w.faults[storeCrashed]++
	kept := s.w.rnd.IntN(len(s.pending) + 1)
	s.w.tell("%s  %s; of %d appends under way %d are on disk", s.name, how, len(s.pending), kept)
	for _, p := range s.pending[:kept] {
		s.persist(p)
	}
	s.acc, s.pending, s.lsn = nil, nil, s.lastDurable()
	s.life++
	s.w.after(s.w.plan.delay(s.w.rnd)*4, func() {
		if s.gone {
			return
		}
		s.w.tell("%s  starts again with %d records", s.name, len(s.log))
		s.boot()
	})
}

// wipe loses the disk: all of it, and the store is gone, for an empty directory is a
// new store; or back to an older state under the same identity. The catalog knows of
// it what the last heartbeat told.
func (s *simStore) wipe(all bool) {
	if s.acc == nil || len(s.log) == 0 {
		return
	}
	if all {
		s.w.faults[diskLost]++
		s.gone = true
		s.crash("loses its disk for good")
		s.w.after(s.w.plan.delay(s.w.rnd)*4, func() { s.w.cat.replace(s.id) })
		return
	}
	s.w.faults[diskRolledBack]++
	s.crash("has its disk rolled back")
	keep := s.w.rnd.IntN(len(s.log))
	cut := s.log[keep:]
	s.log = s.log[:keep:keep]
	s.bytes = map[vstack.ChunkID]bool{}
	for _, d := range s.log {
		if d.Kind == DurableVote || d.Kind == DurableInstall {
			s.bytes[d.Value.Chunk] = true
		}
	}
	s.lsn = s.lastDurable()
	s.kept, s.forgetful, s.told, s.lost = s.lsn, true, false, map[vstack.PG]vstack.Epoch{}
	for pg, g := range s.w.cat.groups {
		s.lost[pg] = g.Epoch
	}
	for _, d := range s.log { // a part of an install is worse than none
		if d.Kind == DurableInstall && slices.ContainsFunc(cut, func(x Durable) bool { return x.Kind == d.Kind && x.Epoch == d.Epoch }) {
			s.lost[d.PG] = max(s.lost[d.PG], d.Epoch)
		}
	}
	s.w.check.rolledBack(s)
}

func (s *simStore) lastDurable() vstack.LSN {
	if len(s.log) == 0 {
		return 0
	}
	return s.log[len(s.log)-1].LSN
}

// request hands a message to the acceptor; answer gets its reply, if there is one.
func (s *simStore) request(m message.Message, hasBytes bool, echo vstack.LSN, answer func(message.Reply)) bool {
	if s.acc == nil {
		return false
	}
	s.tokens++
	t := s.tokens
	s.answers[t] = answer
	if acc, ok := m.(message.Accept); ok && hasBytes {
		s.carried[t] = acc.Value
	}
	s.hear(echo)
	s.step(Request{Token: t, Msg: m, HasBytes: hasBytes, Echo: echo})
	return true
}

func (s *simStore) step(in Input) {
	life := s.life
	for _, e := range s.acc.Step(in) {
		if s.life != life {
			return // it halted
		}
		s.effect(e)
	}
}

func (s *simStore) effect(e Effect) {
	w, life := s.w, s.life
	alive := func(run func()) func() {
		var live func()
		live = func() {
			switch {
			case s.life != life || s.acc == nil:
			case s.stopped > w.now:
				w.after(s.stopped-w.now, live)
			default:
				run()
			}
		}
		return live
	}
	switch e := e.(type) {
	case Append:
		s.append(e, alive)
	case FetchBytes:
		w.after(w.plan.delay(w.rnd), alive(func() { s.fetch(e) }))
	case Respond:
		answer := s.answers[e.Token]
		delete(s.answers, e.Token)
		delete(s.carried, e.Token)
		w.check.responded(s, e.Reply)
		answer(e.Reply)
	case SetTimer:
		w.after(e.After, alive(func() { s.step(Timeout{Token: e.Token}) }))
	case Alarm:
		w.tell("%s  ALARM %s: %s", s.name, e.Reason.Code(), e.Detail)
		w.check.alarmed(s, e)
	case Halt:
		s.crash("halts")
	}
}

func (s *simStore) append(e Append, alive func(func()) func()) {
	w := s.w
	if e.Token != 0 && w.chance(w.plan.diskFull) {
		w.faults[diskFull]++
		w.after(0, alive(func() { s.step(AppendDone{Token: e.Token, Err: vstack.ErrDiskFull}) }))
		return
	}
	p := pendingAppend{token: e.Token}
	s.lsn = max(s.lsn, e.Above)
	for _, d := range e.Records {
		s.lsn++
		d.LSN = s.lsn
		p.records = append(p.records, d)
	}
	if v, ok := s.carried[e.Token]; ok && e.WithBytes {
		p.bytes = append(p.bytes, v.Chunk)
	}
	s.pending = append(s.pending, p)
	if len(s.pending) == 1 {
		w.after(w.plan.delay(w.rnd)/2, alive(s.flush))
	}
}

// flush makes every waiting append durable at once, or meets an error.
func (s *simStore) flush() {
	group := s.pending
	if s.failNext {
		s.failNext, s.failed = false, true
		s.w.faults[appendError]++
		s.step(AppendDone{Token: group[0].token, Err: errIO})
		return
	}
	s.pending = nil
	for _, p := range group {
		s.persist(p)
	}
	lsn, life := s.lsn, s.life
	if s.w.chance(s.w.plan.stale) {
		s.w.faults[heartbeatLost]++
	} else if s.echoed {
		s.w.after(s.w.plan.delay(s.w.rnd)*2, func() { // a heartbeat
			if s.life == life && !s.w.isCut(s.name, "catalog") {
				s.w.cat.echo[s.id] = max(s.w.cat.echo[s.id], lsn)
			}
		})
	}
	// The appends of a group are told done in any order, as goroutines would.
	s.w.rnd.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	for _, p := range group {
		if s.life == life {
			s.step(AppendDone{Token: p.token, LSN: p.records[len(p.records)-1].LSN})
		}
	}
}

func (s *simStore) persist(p pendingAppend) {
	for _, c := range p.bytes {
		s.bytes[c] = true
	}
	for _, d := range p.records {
		s.w.check.durable(s, d)
		s.log = append(s.log, d)
		s.lsn = max(s.lsn, d.LSN)
	}
}

// fetch finds bytes here or at a peer that is up and in reach.
func (s *simStore) fetch(e FetchBytes) {
	here := true
	for _, v := range e.Values {
		if s.bytes[v.Chunk] {
			continue
		}
		here = false
		found := slices.ContainsFunc(s.w.stores, func(peer *simStore) bool {
			return peer.acc != nil && peer.bytes[v.Chunk] && peer.stopped <= s.w.now &&
				!s.w.isCut(s.name, peer.name) && !s.w.isCut(peer.name, s.name) && !s.w.chance(s.w.plan.noBytes)
		})
		if !found {
			s.w.faults[bytesMissing]++
			s.step(BytesReady{Token: e.Token, Err: fmt.Errorf("no peer has chunk %s", s.w.value(v))})
			return
		}
		if e.Store {
			s.bytes[v.Chunk] = true
			continue
		}
		s.carried[e.Token] = v
	}
	s.step(BytesReady{Token: e.Token, Stored: here || e.Store})
}
