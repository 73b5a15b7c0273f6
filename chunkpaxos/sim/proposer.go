package sim

import (
	"errors"
	"fmt"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// tries is how often a process proposes for a slot.
const tries = 3

// proc is a process that proposes: the uploader, or a contender.
type proc struct {
	w        *world
	name     string
	id       vstack.ProposerID
	uploader bool
	dead     bool
	used     map[vstack.Slot]vstack.Ballot
	echo     map[vstack.StoreID]vstack.LSN
}

func newProc(w *world, name string, id vstack.ProposerID, uploader bool) *proc {
	p := &proc{w: w, name: name, id: id, uploader: uploader, used: map[vstack.Slot]vstack.Ballot{}, echo: map[vstack.StoreID]vstack.LSN{}}
	w.names[id] = name
	w.procs = append(w.procs, p)
	return p
}

// value is what a process wants in a slot: u1, u2 … of the uploader, v1 … and w1 … of
// contenders.
func (p *proc) value(s vstack.Slot) vstack.Value {
	name := fmt.Sprintf("u%d", s.Seq)
	if !p.uploader {
		name = fmt.Sprintf("%c%d", 'v'+p.name[1]-'1', s.Seq)
	}
	v := vstack.Value{Chunk: vstack.ChunkIDOf([]byte(name)), Size: 100 + s.Seq}
	p.w.values[v.Chunk] = name
	return v
}

// commit proposes for a slot, and again where that fails.
func (p *proc) commit(s vstack.Slot, left int) {
	if p.dead || left == 0 {
		return
	}
	prop, err := chunkpaxos.NewProposer(p.w.config(p, s))
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // the script was checked
	}
	p.act(prop, s, prop.Step(chunkpaxos.Start{}), left)
}

func (p *proc) act(prop *chunkpaxos.Proposer, s vstack.Slot, actions []chunkpaxos.Action, left int) {
	w := p.w
	step := func(e chunkpaxos.Event) {
		if !p.dead {
			p.act(prop, s, prop.Step(e), left)
		}
	}
	p.used[s] = prop.Used()
	for _, a := range actions {
		switch a := a.(type) {
		case chunkpaxos.Send:
			p.send(a, func(r message.Reply) { step(chunkpaxos.Answer{Call: a.Call, Reply: r}) },
				func() { step(chunkpaxos.Unreachable{Call: a.Call, Err: vstack.ErrUnavailable}) })
		case chunkpaxos.SetTimer:
			w.after(a.After, func() { step(chunkpaxos.Timeout{Token: a.Token}) })
		case chunkpaxos.Chosen:
			why := "chosen"
			if len(a.Acks) < len(w.ids) {
				why = "last"
			}
			w.learned(s, a.Value)
			w.tell("learn", p.name, fmt.Sprintf("%s  learns that its %s is chosen for slot %d; %s hold it", p.name, w.value(a.Value), s.Seq, w.storeNames(a.Acks)), why, nil)
		case chunkpaxos.Conflict:
			w.learned(s, a.Value)
			w.tell("learn", p.name, fmt.Sprintf("%s  learns that slot %d holds %s, not its own %s", p.name, s.Seq, w.value(a.Value), w.value(p.value(s))), "conflict", nil)
		case chunkpaxos.Failed:
			code := string(vstack.SentinelOf(a.Err).Code())
			w.tell("fail", p.name, fmt.Sprintf("%s  gives up on slot %d: %s", p.name, s.Seq, code), "pause", nil)
			if !errors.Is(a.Err, vstack.ErrFenced) && !errors.Is(a.Err, vstack.ErrUploadNotLive) {
				w.after(hop, func() { p.commit(s, left-1) })
			}
		}
	}
}

// send carries a message to a store and its answer back.
func (p *proc) send(a chunkpaxos.Send, answer func(message.Reply), refused func()) {
	w := p.w
	var to *store
	for _, s := range w.stores {
		if s.id == a.Call.To {
			to = s
		}
	}
	verb, text := w.describe(a.Msg, a.WithBytes)
	w.carry(p.name, to.name, verb, text, whySent(a.Msg, a.WithBytes), func() bool {
		return to.request(a.Msg, a.WithBytes, p.echo[to.id], func(r message.Reply) {
			verb, text := w.describeReply(r)
			w.carry(to.name, p.name, verb, text, whyAnswered(r), func() bool {
				if p.dead {
					return false
				}
				if acc, ok := r.(message.Accepted); ok {
					p.echo[to.id] = max(p.echo[to.id], acc.LSN)
				}
				answer(r)
				return true
			}, nil)
		})
	}, refused)
}
