package chunkpaxos

import (
	"fmt"
	"math"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Proposer has one value chosen for one slot, or finds out which one was. It is a
// step machine and not safe for concurrent use.
type Proposer struct {
	cfg    ProposerConfig
	phase  phase
	ballot vstack.Ballot // of the current attempt
	used   vstack.Ballot // the highest this process ever used for the slot
	seen   vstack.Ballot // the highest that a Nack reported
	value  vstack.Value  // that the current accept carries

	promises map[vstack.StoreID]message.Promise // of the current attempt
	acks     map[vstack.StoreID]bool            // of the current accept
	refusals map[vstack.StoreID]error           // of the current phase
	stores   map[vstack.StoreID]bool            // known to hold the bytes of cfg.Value

	attempts int
	timer    Token // the timer that counts; older ones are ignored
	out      []Action
	mutant   proposerMutant
}

type phase uint8

const (
	idle phase = iota
	preparing
	accepting
	settling // chosen; the last acceptor is awaited "a little"
	backingOff
	done
)

// proposerMutant breaks one rule each; only tests can set it.
type proposerMutant struct {
	reuseBallot bool // a retry with another value keeps its ballot
	fastAlways  bool // resume skips phase 1
}

// NewProposer checks the configuration. Step(Start{}) begins.
func NewProposer(cfg ProposerConfig) (*Proposer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Proposer{cfg: cfg, used: cfg.After, stores: make(map[vstack.StoreID]bool)}, nil
}

// Used is the highest ballot that was ever used for the slot by this process; the
// next proposer of the same slot and process takes it as After.
func (p *Proposer) Used() vstack.Ballot { return p.used }

// Done reports whether Chosen, Conflict or Failed was given.
func (p *Proposer) Done() bool { return p.phase == done }

// Step takes one event and returns what is to be done about it. The slice is the
// caller's.
func (p *Proposer) Step(e Event) []Action {
	p.out = nil
	switch e := e.(type) {
	case Start:
		if p.phase == idle {
			p.start()
		}
	case Answer:
		p.answer(e.Call, e.Reply)
	case Unreachable:
		p.refuse(e.Call, fmt.Errorf("store %s: %w", e.Call.To, e.Err))
	case Timeout:
		if e.Token == p.timer {
			p.timeout()
		}
	}
	return p.out
}

// start: "propose(slot, v): round 0 if unused for this slot: PUT to all three".
func (p *Proposer) start() {
	fast := vstack.Ballot{Incarnation: p.cfg.Upload.Incarnation, Proposer: p.cfg.Upload.Owner}
	if (p.cfg.Fast || p.mutant.fastAlways) && p.used.Less(fast) {
		p.attempts++
		p.ballot, p.used = fast, fast
		p.accept(p.cfg.Value)
		return
	}
	p.prepare()
}

// prepare: "classic: b = fresh; prepare on a majority".
func (p *Proposer) prepare() {
	if p.attempts++; p.attempts > p.cfg.MaxAttempts {
		p.fail(fmt.Errorf("%w after %d attempts: %w", vstack.ErrNoQuorum, p.cfg.MaxAttempts, p.reason()))
		return
	}
	b, err := p.fresh()
	if err != nil {
		p.fail(err)
		return
	}
	p.phase, p.ballot, p.used = preparing, b, b
	p.promises = make(map[vstack.StoreID]message.Promise, len(p.cfg.Acceptors))
	p.acks, p.refusals = nil, nil
	for _, to := range p.cfg.Acceptors {
		p.out = append(p.out, Send{Call: Call{Ballot: b, To: to}, Msg: message.Prepare{
			Slot: p.cfg.Slot, Epoch: p.cfg.Epoch, Upload: p.cfg.Upload.ID, UploadIndex: p.cfg.Upload.Index, Ballot: b,
		}})
	}
	p.setTimer(p.cfg.PhaseTimeout)
}

// fresh returns a ballot above every one used or seen: "b never reused".
func (p *Proposer) fresh() (vstack.Ballot, error) {
	b := vstack.Ballot{Incarnation: p.cfg.Upload.Incarnation, Proposer: p.cfg.Proposer}
	if p.mutant.reuseBallot && p.used.Round > 0 {
		return p.used, nil
	}
	for _, o := range []vstack.Ballot{p.used, p.seen} {
		if o.Incarnation > b.Incarnation {
			return b, fmt.Errorf("%w: ballot %s is of a newer incarnation than %d", vstack.ErrFenced, o, b.Incarnation)
		}
		if o.Incarnation == b.Incarnation {
			b.Round = max(b.Round, o.Round)
		}
	}
	if b.Round == math.MaxUint32 {
		return b, fmt.Errorf("%w: rounds of incarnation %d are used up", vstack.ErrInternal, b.Incarnation)
	}
	b.Round++
	return b, nil
}

// accept sends phase 2 for v at the current ballot to every acceptor.
func (p *Proposer) accept(v vstack.Value) {
	p.phase, p.value = accepting, v
	p.acks = make(map[vstack.StoreID]bool, len(p.cfg.Acceptors))
	p.refusals = nil
	for _, to := range p.cfg.Acceptors {
		p.out = append(p.out, Send{
			Call: Call{Ballot: p.ballot, Accept: true, To: to},
			Msg: message.Accept{
				Slot: p.cfg.Slot, Epoch: p.cfg.Epoch, Upload: p.cfg.Upload.ID, UploadIndex: p.cfg.Upload.Index,
				Ballot: p.ballot, Value: v,
			},
			// "an acceptor without the bytes fetches and verifies them first": only our own
			// bytes can be sent, and only to a store that does not have them.
			WithBytes: v == p.cfg.Value && !p.stores[to],
		})
	}
	p.setTimer(p.cfg.PhaseTimeout)
}

func (p *Proposer) answer(c Call, r message.Reply) {
	switch r := r.(type) {
	case message.Accepted:
		if r.Value == p.cfg.Value {
			p.stores[c.To] = true
		}
		if p.current(c) && c.Accept && r.Ballot == p.ballot && r.Value == p.value {
			p.acks[c.To] = true
			p.count()
		}
	case message.Promise:
		if !r.Accepted.IsZero() && r.Value == p.cfg.Value {
			p.stores[c.To] = true
		}
		if p.current(c) && !c.Accept && r.Ballot == p.ballot {
			p.promises[c.To] = r
			if len(p.promises) >= message.Majority(len(p.cfg.Acceptors)) {
				p.accept(p.pick())
			}
		}
	case message.Nack:
		if p.seen.Less(r.Ballot) {
			p.seen = r.Ballot
		}
		p.refuse(c, p.refusal(r))
	default:
		p.refuse(c, fmt.Errorf("store %s: %w: answered %T", c.To, vstack.ErrInternal, r))
	}
}

// pick: "v' = value of the highest accepted ballot, else v".
func (p *Proposer) pick() vstack.Value {
	var best vstack.Ballot
	v := p.cfg.Value
	for _, a := range p.cfg.Acceptors { // in order, so that a schedule replays exactly
		if r, ok := p.promises[a]; ok && best.Less(r.Accepted) {
			best, v = r.Accepted, r.Value
		}
	}
	return v
}

// count: "majority → chosen", and then the last acceptor is awaited a little.
func (p *Proposer) count() {
	switch {
	case len(p.acks) < message.Majority(len(p.cfg.Acceptors)):
	case len(p.acks)+len(p.refusals) >= len(p.cfg.Acceptors):
		p.finish()
	case p.phase == accepting:
		p.phase = settling
		p.setTimer(p.cfg.AwaitLast)
	}
}

// refuse counts an acceptor as lost to the current phase. While a majority is still
// possible the others are awaited.
func (p *Proposer) refuse(c Call, err error) {
	if !p.current(c) || p.acks[c.To] && c.Accept {
		return
	}
	if _, promised := p.promises[c.To]; promised && !c.Accept {
		return
	}
	if p.refusals == nil {
		p.refusals = make(map[vstack.StoreID]error, len(p.cfg.Acceptors))
	}
	p.refusals[c.To] = err
	if p.phase == settling {
		p.count()
		return
	}
	if len(p.cfg.Acceptors)-len(p.refusals) < message.Majority(len(p.cfg.Acceptors)) {
		p.retry()
	}
}

func (p *Proposer) timeout() {
	switch p.phase {
	case settling:
		p.finish()
	case backingOff:
		p.prepare()
	case preparing, accepting:
		for _, a := range p.cfg.Acceptors { // refuse passes over those that answered
			if p.refusals[a] != nil {
				continue
			}
			p.refuse(Call{Ballot: p.ballot, Accept: p.phase == accepting, To: a}, fmt.Errorf("store %s: %w", a, vstack.ErrTimeout))
			if p.phase != preparing && p.phase != accepting {
				return
			}
		}
	}
}

// retry: "any NACK or timeout → classic"; "jittered back-off".
func (p *Proposer) retry() {
	if err := p.final(); err != nil {
		p.fail(err)
		return
	}
	if p.ballot.Round == 0 && p.answered() {
		p.prepare() // refused on the fast path: the other rounds are not contended yet
		return
	}
	p.phase = backingOff
	d := p.cfg.BackoffMax
	if shift := p.attempts - 1; shift < 16 {
		d = min(d, p.cfg.BackoffMin<<shift)
	}
	p.setTimer(d/2 + time.Duration(p.cfg.Rand.Int64N(int64(d/2)+1)))
}

func (p *Proposer) finish() {
	p.phase = done
	acks := make([]vstack.StoreID, 0, len(p.acks))
	for _, a := range p.cfg.Acceptors {
		if p.acks[a] {
			acks = append(acks, a)
		}
	}
	if p.value != p.cfg.Value { // "v' ≠ v → SlotConflict(v')"
		p.out = append(p.out, Conflict{Ballot: p.ballot, Value: p.value, Acks: acks})
		return
	}
	p.out = append(p.out, Chosen{Ballot: p.ballot, Value: p.value, Acks: acks})
}

func (p *Proposer) fail(err error) {
	p.phase = done
	p.out = append(p.out, Failed{Err: fmt.Errorf("propose %s for slot %s: %w", p.cfg.Value.Chunk.Short(), p.cfg.Slot, err)})
}

func (p *Proposer) setTimer(d time.Duration) {
	p.timer++
	p.out = append(p.out, SetTimer{Token: p.timer, After: d})
}

// current reports whether a call belongs to the phase that is under way.
func (p *Proposer) current(c Call) bool {
	if c.Ballot != p.ballot {
		return false
	}
	if c.Accept {
		return p.phase == accepting || p.phase == settling
	}
	return p.phase == preparing
}
