package sim

import (
	"fmt"
	"time"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// store runs an Acceptor over a log that is durable only after a flush.
type store struct {
	w    *world
	id   vstack.StoreID
	name string
	life int // counts the starts; what an earlier life had under way is gone

	log   []chunkpaxos.Durable // durable, in order
	bytes map[vstack.ChunkID]bool

	acc     *chunkpaxos.Acceptor // nil: the process is down
	tokens  chunkpaxos.Token
	answers map[chunkpaxos.Token]func(message.Reply)
	carried map[chunkpaxos.Token]vstack.Value // bytes that are in memory
}

func (s *store) lsn() vstack.LSN { return vstack.LSN(len(s.log)) }

// boot starts the process: recover the log, follow the catalog, hear the echo.
func (s *store) boot() {
	acc, err := chunkpaxos.NewAcceptor(chunkpaxos.AcceptorConfig{Store: s.id, LSN: s.lsn(), CatchUp: 10 * time.Millisecond})
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // the configuration is a constant
	}
	s.life++
	s.acc, s.answers, s.carried = acc, map[chunkpaxos.Token]func(message.Reply){}, map[chunkpaxos.Token]vstack.Value{}
	for _, d := range s.log {
		acc.Restore(d)
	}
	change := chunkpaxos.CatalogChange{Applied: s.w.upload.Index, Uploads: []vstack.Upload{s.w.upload}}
	for _, slot := range s.w.slots {
		change.Groups = append(change.Groups, chunkpaxos.Group{PG: slot.PG(), Epoch: 1, Acceptors: s.w.ids})
	}
	s.step(change)
	s.step(chunkpaxos.Echo{LSN: s.lsn(), Current: s.lsn(), Index: s.w.upload.Index})
}

// crash ends the process; what was not flushed is gone.
func (s *store) crash(f Fault) {
	s.acc = nil
	s.life++
	s.w.tell("kill", s.name, s.name+"  dies"+lasting(f)+"; what is not on its disk is gone", "durable", s.changed())
	if f.For == 0 {
		return
	}
	life := s.life
	s.w.after(ms(f.For), func() {
		if s.life == life {
			s.boot()
			s.w.tell("start", s.name, fmt.Sprintf("%s  starts again with the %d records of its disk", s.name, len(s.log)), "start", s.changed())
		}
	})
}

// request hands a message to the acceptor; false where there is none.
func (s *store) request(m message.Message, hasBytes bool, echo vstack.LSN, answer func(message.Reply)) bool {
	if s.acc == nil {
		return false
	}
	s.tokens++
	s.answers[s.tokens] = answer
	if a, ok := m.(message.Accept); ok && hasBytes {
		s.carried[s.tokens] = a.Value
	}
	s.step(chunkpaxos.Request{Token: s.tokens, Msg: m, HasBytes: hasBytes, Echo: echo})
	return true
}

func (s *store) step(in chunkpaxos.Input) {
	life := s.life
	for _, e := range s.acc.Step(in) {
		if s.life != life {
			return
		}
		s.effect(e)
	}
}

// alive runs f unless the process has ended meanwhile.
func (s *store) alive(f func()) func() {
	life := s.life
	return func() {
		if s.life == life && s.acc != nil {
			f()
		}
	}
}

func (s *store) effect(e chunkpaxos.Effect) {
	switch e := e.(type) {
	case chunkpaxos.Append:
		s.w.after(flush, s.alive(func() { s.flush(e) }))
	case chunkpaxos.FetchBytes:
		s.fetch(e)
	case chunkpaxos.Respond:
		answer := s.answers[e.Token]
		delete(s.answers, e.Token)
		delete(s.carried, e.Token)
		answer(e.Reply)
	case chunkpaxos.SetTimer:
		s.w.after(e.After, s.alive(func() { s.step(chunkpaxos.Timeout{Token: e.Token}) }))
	case chunkpaxos.Halt:
		s.crash(Fault{Node: s.name, Kind: Kill})
	}
}

// flush makes an append durable.
func (s *store) flush(e chunkpaxos.Append) {
	text, why := "", ""
	for _, d := range e.Records {
		d.LSN = max(s.lsn(), e.Above) + 1
		s.log = append(s.log, d)
		switch d.Kind {
		case chunkpaxos.DurableVote:
			text, why = fmt.Sprintf("%s  has its vote on disk: %s for slot %d at %s", s.name, s.w.value(d.Value), d.Slot.Seq, s.w.ballot(d.Ballot)), "vote"
		case chunkpaxos.DurablePromise:
			text, why = fmt.Sprintf("%s  has its promise on disk: slot %d from %s on", s.name, d.Slot.Seq, s.w.ballot(d.Ballot)), "promise"
		}
	}
	if v, ok := s.carried[e.Token]; ok && e.WithBytes {
		s.bytes[v.Chunk] = true
	}
	if text != "" {
		s.w.tell("durable", s.name, text, why, s.changed())
	}
	s.step(chunkpaxos.AppendDone{Token: e.Token, LSN: s.lsn()})
}

// fetch finds the bytes of a value here or at a peer that is up and in reach.
func (s *store) fetch(e chunkpaxos.FetchBytes) {
	v := e.Values[0]
	if s.bytes[v.Chunk] {
		s.w.after(0, s.alive(func() { s.step(chunkpaxos.BytesReady{Token: e.Token, Stored: true}) }))
		return
	}
	for _, peer := range s.w.stores {
		if peer.acc == nil || !peer.bytes[v.Chunk] || s.w.cuts[[2]string{peer.name, s.name}] > s.w.now {
			continue
		}
		got := s.alive(func() {
			s.carried[e.Token] = v
			s.step(chunkpaxos.BytesReady{Token: e.Token})
		})
		s.w.carry(peer.name, s.name, "BYTES", "the bytes of "+s.w.value(v), "bytes", func() bool { got(); return s.acc != nil }, nil)
		return
	}
	s.w.after(hop, s.alive(func() {
		s.w.tell("fail", s.name, fmt.Sprintf("%s  finds the bytes of %s nowhere", s.name, s.w.value(v)), "bytes", nil)
		s.step(chunkpaxos.BytesReady{Token: e.Token, Err: fmt.Errorf("no peer has %s", s.w.value(v))})
	}))
}

// changed is the store's state after a step.
func (s *store) changed() map[string]StoreState {
	st := StoreState{Up: s.acc != nil, Slots: make([]SlotState, len(s.w.slots))}
	promised := make([]vstack.Ballot, len(s.w.slots))
	voted := make([]vstack.Ballot, len(s.w.slots))
	for _, d := range s.log {
		i := int(d.Slot.Seq) - 1
		if i < 0 || i >= len(st.Slots) {
			continue
		}
		if promised[i].Less(d.Ballot) {
			promised[i] = d.Ballot
			st.Slots[i].Promised = s.w.ballot(d.Ballot)
		}
		if d.Kind == chunkpaxos.DurableVote && voted[i].Less(d.Ballot) {
			voted[i] = d.Ballot
			st.Slots[i].Ballot, st.Slots[i].Value = s.w.ballot(d.Ballot), s.w.value(d.Value)
		}
	}
	return map[string]StoreState{s.name: st}
}
