package chunkpaxos

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/chunkpaxos/survey"
	"github.com/vstack/vstack/internal/vstack"
)

// simProc is a process that proposes: an uploader, or a classic contender.
type simProc struct {
	w        *world
	name     string
	upload   vstack.Upload
	proposer vstack.ProposerID
	uploader bool // owns round 0 of its incarnation
	dead     bool
	tag      int // makes its values its own
	survey   *survey.Survey
	used     map[vstack.Slot]vstack.Ballot
	echo     map[vstack.StoreID]vstack.LSN
	open     int // proposals that have not ended
	stopped  time.Duration
	groups   map[vstack.PG]Group // as this process last heard of them
}

func (w *world) newProc(name string, up vstack.Upload, proposer vstack.ProposerID, uploader bool) *simProc {
	p := &simProc{
		w: w, name: name, upload: up, proposer: proposer, uploader: uploader, tag: len(w.procs),
		used: map[vstack.Slot]vstack.Ballot{}, echo: map[vstack.StoreID]vstack.LSN{}, groups: maps.Clone(w.cat.groups),
	}
	if w.chance(w.plan.samecontent) {
		p.tag = 0
	}
	if w.names[proposer] == "" || !w.plan.mutant.shared {
		w.names[proposer] = name
	}
	w.procs = append(w.procs, p)
	return p
}

func (p *simProc) value(s vstack.Slot) vstack.Value {
	name := fmt.Sprintf("%s%d", string(rune('u'+p.tag)), s.Seq)
	v := vstack.Value{Chunk: vstack.ChunkIDOf([]byte(name)), Size: 100 + s.Seq}
	p.w.values[v.Chunk] = name
	return v
}

func (p *simProc) die(fault int) {
	if !p.dead {
		p.dead = true
		p.w.faults[fault]++
		p.w.tell("%s  dies", p.name)
	}
}

func (p *simProc) uploadAll() {
	for _, s := range p.w.slots() {
		p.commit(s, 3+p.w.plan.moves)
	}
}

// takeOver is what a resuming process does: a ranged prepare at every store, then
// only the slots that are not chosen.
func (p *simProc) takeOver() {
	m := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range m.Groups {
		m.Groups[i] = vstack.PGTargets{Epoch: 1, Targets: testStores}
	}
	for pg, g := range p.groups {
		m.Groups[pg] = vstack.PGTargets{Epoch: g.Epoch, Targets: g.Acceptors}
	}
	sv, err := survey.New(p.upload, m)
	if err != nil {
		panic(err)
	}
	for _, id := range sv.Stores() {
		p.ask(sv, id, 3)
	}
	p.w.after(30*time.Millisecond, func() {
		if p.dead {
			return
		}
		p.survey = sv
		chosen := sv.Chosen()
		for _, s := range p.w.slots() {
			if v, ok := chosen[s]; ok {
				p.w.tell("%s  finds %s chosen for slot %d, and does not send it", p.name, p.w.value(v), s.Seq)
				p.w.check.learned(s, v, p.name)
				continue
			}
			p.commit(s, 3+p.w.plan.moves)
		}
	})
}

// ask sends ranged prepares to one store until it has told every page.
func (p *simProc) ask(sv *survey.Survey, to vstack.StoreID, tries int) {
	m, more := sv.Next(to)
	if !more || p.dead || p.survey != nil || tries == 0 {
		return
	}
	m.Limit = 2
	again := func() { p.ask(sv, to, tries-1) }
	p.send(to, m, false, func(r message.Reply) {
		switch r := r.(type) {
		case message.UploadPromise:
			if r.Ballot == m.Ballot && p.survey == nil && sv.Add(r) == nil {
				p.ask(sv, to, 3)
			}
		case message.Nack:
			p.w.after(p.w.plan.delay(p.w.rnd), again)
		}
	}, again)
	p.w.after(8*time.Millisecond, again)
}

// simFirst is the incarnation that the catalog issues when the upload is opened.
const simFirst = 1

// commit has the process's value chosen for a slot, or learns what was.
func (p *simProc) commit(s vstack.Slot, tries int) {
	if p.dead || tries == 0 {
		return
	}
	g := p.groups[s.PG()]
	fast := p.uploader && (p.upload.Incarnation == simFirst || p.survey != nil && p.survey.Fast(s, g.Epoch))
	prop, err := NewProposer(ProposerConfig{
		Slot: s, Epoch: g.Epoch, Acceptors: g.Acceptors, Upload: p.upload, Value: p.value(s), Proposer: p.proposer, Fast: fast,
		After: p.used[s], Rand: rand.New(rand.NewPCG(p.w.rnd.Uint64(), 2)),
		PhaseTimeout: 25 * time.Millisecond, AwaitLast: 6 * time.Millisecond,
		BackoffMin: 2 * time.Millisecond, BackoffMax: 30 * time.Millisecond, MaxAttempts: 8,
	})
	if err != nil {
		panic(err)
	}
	if p.uploader {
		prop.mutant = p.w.plan.mutant.proposer
	} else {
		prop.mutant.reuseBallot = p.w.plan.mutant.proposer.reuseBallot
	}
	p.open++
	p.act(prop, s, prop.Step(Start{}), tries)
}

func (p *simProc) act(prop *Proposer, s vstack.Slot, actions []Action, tries int) {
	w := p.w
	step := func(e Event) { p.running(func() { p.act(prop, s, prop.Step(e), tries) })() }
	p.used[s] = prop.Used()
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			if acc, ok := a.Msg.(message.Accept); ok {
				w.check.proposed(p, acc)
			}
			p.send(a.Call.To, a.Msg, a.WithBytes,
				func(r message.Reply) { step(Answer{Call: a.Call, Reply: r}) },
				func() { step(Unreachable{Call: a.Call, Err: vstack.ErrUnavailable}) })
		case SetTimer:
			w.after(a.After, func() { step(Timeout{Token: a.Token}) })
		case Chosen:
			p.open--
			w.tell("%s  learns that its %s is chosen for slot %d; %s hold it", p.name, w.value(a.Value), s.Seq, w.storeNames(a.Acks))
			w.check.learned(s, a.Value, p.name)
			w.check.copies(s, a.Value, a.Acks)
		case Conflict:
			p.open--
			w.tell("%s  learns that slot %d holds %s: SLOT_CONFLICT", p.name, s.Seq, w.value(a.Value))
			w.check.learned(s, a.Value, p.name)
			w.check.copies(s, a.Value, a.Acks)
		case Failed:
			p.open--
			w.tell("%s  gives up on slot %d: %s", p.name, s.Seq, vstack.SentinelOf(a.Err).Code())
			if !errors.Is(a.Err, vstack.ErrFenced) && !errors.Is(a.Err, vstack.ErrUploadNotLive) {
				w.after(w.plan.delay(w.rnd), func() {
					if !w.isCut("catalog", p.name) {
						p.groups = maps.Clone(w.cat.groups)
					}
					p.commit(s, tries-1)
				})
			}
		}
	}
}

// send carries a message to a store and its reply back.
func (p *simProc) send(to vstack.StoreID, m message.Message, withBytes bool, answer func(message.Reply), lost func()) {
	w := p.w
	i := 0
	for w.stores[i].id != to {
		i++
	}
	s := w.stores[i]
	echo := p.echo[to]
	var arrive func()
	arrive = func() {
		if s.stopped > w.now {
			w.after(s.stopped-w.now, arrive)
			return
		}
		up := s.request(m, withBytes, echo, func(r message.Reply) {
			line := func() string { return fmt.Sprintf("%s → %s  %s", s.name, p.name, w.describeReply(r)) }
			w.carry(s.name, p.name, line, func() {
				if p.dead {
					return
				}
				if acc, ok := r.(message.Accepted); ok {
					p.echo[to] = max(p.echo[to], acc.LSN)
				}
				answer(r)
			}, lost)
		})
		if !up && lost != nil && !w.chance(w.plan.silent) {
			w.after(w.plan.delay(w.rnd), lost)
		}
	}
	line := func() string { return fmt.Sprintf("%s → %s  %s", p.name, s.name, w.describe(m, withBytes)) }
	w.carry(p.name, s.name, line, arrive, lost)
}

func (w *world) describe(m message.Message, withBytes bool) string {
	switch m := m.(type) {
	case message.Accept:
		verb := "ACCEPT"
		if withBytes {
			verb = "PUT"
		}
		return fmt.Sprintf("%s slot %d at %s: %s", verb, m.Slot.Seq, w.ballot(m.Ballot), w.value(m.Value))
	case message.Prepare:
		return fmt.Sprintf("PREPARE slot %d at %s", m.Slot.Seq, w.ballot(m.Ballot))
	case message.PrepareUpload:
		return fmt.Sprintf("PREPARE upload at %s", w.ballot(m.Ballot))
	case message.Seal:
		return fmt.Sprintf("SEAL epoch %d", m.Epoch)
	case message.Install:
		return fmt.Sprintf("INSTALL epoch %d attempt %d%s%s", m.Epoch, m.Attempt, w.votes(m.Votes), map[bool]string{true: ", the last page"}[m.Final])
	}
	return fmt.Sprintf("%T", m)
}

func (w *world) describeReply(r message.Reply) string {
	switch r := r.(type) {
	case message.Accepted:
		return fmt.Sprintf("ACCEPTED slot %d at %s: %s", r.Slot.Seq, w.ballot(r.Ballot), w.value(r.Value))
	case message.Nack:
		return fmt.Sprintf("NACK %s, ballot %s, holds %s", r.Reason.Code(), w.ballot(r.Ballot), w.value(r.Value))
	case message.Promise:
		return fmt.Sprintf("PROMISE slot %d at %s; accepted %s at %s", r.Slot.Seq, w.ballot(r.Ballot), w.value(r.Value), w.ballot(r.Accepted))
	case message.UploadPromise:
		s := w.votes(r.Votes)
		if r.More {
			s += ", and more"
		}
		return fmt.Sprintf("PROMISE upload at %s%s", w.ballot(r.Ballot), s)
	case message.Sealed:
		return fmt.Sprintf("SEALED epoch %d%s", r.Epoch, w.votes(r.Votes))
	case message.Installed:
		return fmt.Sprintf("INSTALLED epoch %d attempt %d, complete: %v", r.Epoch, r.Attempt, r.Final)
	}
	return fmt.Sprintf("%T", r)
}

func (w *world) votes(votes []message.Vote) string {
	s := ""
	for _, v := range votes {
		s += fmt.Sprintf(", slot %d %s at %s", v.Slot.Seq, w.value(v.Value), w.ballot(v.Ballot))
	}
	return s
}
