package epochchange

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Reconfigurer drives one attempt. It is a step machine and not safe for concurrent use.
// It is a plain value, too: a copy of it is another machine in the same state.
type Reconfigurer struct {
	cfg   Config
	stage Stage
	peers [vstack.Acceptors]peer // of Old while sealing, of New from then on
	votes []message.Vote         // highest (epoch, ballot) of each slot in what was sealed, by slot; never changed in place
	pages []int                  // where in votes the pages of the install end
	tries int                    // rounds of asking again, of this stage
	timer uint64                 // the last one that was set
	armed bool                   // it has not run out
	out   []Action
}

// Stage is how far an attempt got.
type Stage uint8

// The stages, in order.
const (
	Unbegun Stage = iota
	Sealing
	Installing
	Activating // Raft was asked; installs go on meanwhile
	Repairing  // the new epoch is active; the last acceptors get the install
	Ended
)

// String is the stage in a log line.
func (s Stage) String() string {
	return [...]string{"unbegun", "sealing", "installing", "activating", "repairing", "ended"}[min(s, Ended)]
}

// peer is how far one acceptor got in a stage.
type peer struct {
	page     int // the one that is asked for
	asked    bool
	complete bool
	out      bool           // it will never take part in this attempt
	err      error          // what it said last, if it was no help
	votes    []message.Vote // of its seal, until it is complete
}

// New checks the configuration. Step(Start{}) begins.
func New(cfg Config) (*Reconfigurer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Reconfigurer{cfg: cfg}, nil
}

// Done reports whether Reconfigured or Failed was given.
func (r *Reconfigurer) Done() bool { return r.stage == Ended }

// State is what a Reconfigurer knows.
type State struct {
	Stage Stage
	Tries int
	Peers []PeerState // as Config.Old while sealing, as Config.New from then on
	// Votes are to be installed, by slot. While sealing they are those of the acceptors
	// that have answered completely. They are not the caller's to change.
	Votes []message.Vote
}

// PeerState is how far one acceptor got.
type PeerState struct {
	Page           int
	Asked          bool // an answer is awaited
	Complete, Lost bool // it has done its part; it never will
	Err            error
}

// State is for log lines and for tests that explore every state.
func (r *Reconfigurer) State() State {
	s := State{Stage: r.stage, Tries: r.tries, Votes: r.votes}
	for i := range r.acceptors() {
		p := r.peers[i]
		s.Peers = append(s.Peers, PeerState{Page: p.page, Asked: p.asked, Complete: p.complete, Lost: p.out, Err: p.err})
	}
	return s
}

// Step takes one event and returns what is to be done about it. The slice is the
// caller's.
func (r *Reconfigurer) Step(e Event) []Action {
	r.out = nil
	switch e := e.(type) {
	case Start:
		if r.stage == Unbegun {
			r.begin(Sealing)
		}
	case Answer:
		if i := r.take(e.Call); i >= 0 {
			r.answer(i, e.Reply)
		}
	case Unreachable:
		if i := r.take(e.Call); i >= 0 {
			r.later(i, fmt.Errorf("store %s: %w", e.Call.To, e.Err))
		}
	case Timeout:
		if r.armed && e.Token == r.timer && r.stage != Ended {
			r.armed = false
			r.again()
		}
	case Activated:
		r.activated(e.Err)
	}
	return r.out
}

// begin asks every acceptor of a stage for its first page.
func (r *Reconfigurer) begin(s Stage) {
	r.stage, r.tries, r.armed, r.peers = s, 0, false, [vstack.Acceptors]peer{}
	for i := range r.acceptors() {
		r.ask(i)
	}
}

func (r *Reconfigurer) acceptors() []vstack.StoreID {
	if r.stage <= Sealing {
		return r.cfg.Old
	}
	return r.cfg.New
}

// ask sends the page that an acceptor needs next.
func (r *Reconfigurer) ask(i int) {
	p := &r.peers[i]
	p.asked = true
	call := Call{To: r.acceptors()[i], Install: r.stage > Sealing, Page: p.page}
	if r.stage == Sealing {
		m := message.Seal{PG: r.cfg.PG, Epoch: r.cfg.Epoch, Limit: r.cfg.Page}
		if n := len(p.votes); n > 0 {
			m.After = &p.votes[n-1].Slot
		}
		r.out = append(r.out, Send{Call: call, Msg: m})
		return
	}
	from := 0
	if p.page > 0 {
		from = r.pages[p.page-1]
	}
	r.out = append(r.out, Send{Call: call, Msg: message.Install{
		PG: r.cfg.PG, Epoch: r.cfg.Epoch + 1, Attempt: r.cfg.Attempt,
		First: p.page == 0, Final: p.page == len(r.pages)-1, Votes: r.votes[from:r.pages[p.page]],
	}})
}

// Awaits reports whether an answer to c would still be listened to. What is not may be
// cancelled.
func (r *Reconfigurer) Awaits(c Call) bool {
	i := slices.Index(r.acceptors(), c.To)
	return r.stage != Ended && i >= 0 && c.Install == (r.stage > Sealing) && r.peers[i].asked && r.peers[i].page == c.Page
}

// take returns the acceptor whose answer c is, which is awaited no more; -1 if it was not.
func (r *Reconfigurer) take(c Call) int {
	if !r.Awaits(c) {
		return -1
	}
	i := slices.Index(r.acceptors(), c.To)
	r.peers[i].asked = false
	return i
}

func (r *Reconfigurer) answer(i int, reply message.Reply) {
	switch m := reply.(type) {
	case message.Sealed:
		if r.stage == Sealing && m.PG == r.cfg.PG && m.Epoch == r.cfg.Epoch && m.Store == r.cfg.Old[i] {
			r.sealed(i, m)
			return
		}
	case message.Installed:
		same := m.PG == r.cfg.PG && m.Epoch == r.cfg.Epoch+1 && m.Attempt == r.cfg.Attempt
		if r.stage > Sealing && same && m.Store == r.cfg.New[i] {
			r.installed(i, m)
			return
		}
	case message.Nack:
		r.refused(i, m)
		return
	}
	r.lose(i, fmt.Errorf("store %s: %w: it answered something else: %T", r.acceptors()[i], vstack.ErrInvalid, reply))
}

// sealed takes a page: "each returning its slot state for unpublished uploads".
func (r *Reconfigurer) sealed(i int, m message.Sealed) {
	p := &r.peers[i]
	if err := r.cfg.check(p.votes, m); err != nil {
		r.lose(i, fmt.Errorf("store %s sealed epoch %d: %w: %w", m.Store, m.Epoch, vstack.ErrInvalid, err))
		return
	}
	p.votes = append(slices.Clip(p.votes), m.Votes...)
	if m.More {
		p.page++
		r.ask(i)
		return
	}
	p.complete = true
	r.votes = merge(r.votes, p.votes)
	p.votes = nil
	if r.count() < message.Majority(len(r.cfg.Old)) {
		return
	}
	r.pages = r.cfg.paginate(r.votes)
	r.begin(Installing)
}

func (r *Reconfigurer) installed(i int, m message.Installed) {
	p := &r.peers[i]
	if !m.Final && p.page < len(r.pages)-1 {
		p.page++
		r.ask(i)
		return
	}
	if !m.Final {
		r.lose(i, fmt.Errorf("store %s: %w: the last page did not complete the install", m.Store, vstack.ErrInvalid))
		return
	}
	p.complete = true
	if r.stage == Installing && r.count() >= message.Majority(len(r.cfg.New)) {
		r.stage = Activating
		r.out = append(r.out, Activate{})
	}
	r.finish()
}

// refused judges a Nack: most of them pass with time, some end an acceptor's part in
// this attempt.
func (r *Reconfigurer) refused(i int, n message.Nack) {
	p := &r.peers[i]
	switch n.Reason {
	case vstack.ErrAmnesic, vstack.ErrNotAcceptor, vstack.ErrHashMismatch:
		r.lose(i, n.Err())
		return
	case vstack.ErrEpochStale:
		// A store that has not heard of the old epoch yet will; any other is ahead.
		if r.stage != Sealing || n.Epoch > r.cfg.Epoch {
			r.lose(i, n.Err())
			return
		}
	case vstack.ErrInvalid:
		if r.stage == Sealing || p.page == 0 {
			r.lose(i, n.Err())
			return
		}
		p.page = 0 // it lost the pages before
	case nil:
		n.Reason = vstack.ErrInternal
	}
	r.later(i, n.Err())
}

// lose counts an acceptor out, and ends the attempt when no majority is left.
func (r *Reconfigurer) lose(i int, err error) {
	r.peers[i].out, r.peers[i].err = true, err
	left := 0
	for _, p := range r.peers[:len(r.acceptors())] {
		if !p.out {
			left++
		}
	}
	if r.stage <= Installing && left < message.Majority(len(r.acceptors())) {
		r.fail(fmt.Errorf("%w: %w", vstack.ErrNoQuorum, r.reasons()))
		return
	}
	r.finish()
}

// later asks an acceptor again after a pause that doubles.
func (r *Reconfigurer) later(i int, err error) {
	r.peers[i].err = err
	if r.armed {
		return
	}
	d := r.cfg.RetryMax
	if r.tries < 16 {
		d = min(d, r.cfg.RetryMin<<r.tries)
	}
	r.setTimer(d)
}

func (r *Reconfigurer) setTimer(d time.Duration) {
	r.timer++
	r.armed = true
	r.out = append(r.out, SetTimer{Token: r.timer, After: d})
}

// again asks those that wait for it.
func (r *Reconfigurer) again() {
	if r.tries++; r.tries >= r.cfg.MaxTries {
		r.giveUp()
		return
	}
	for i := range r.acceptors() {
		if p := r.peers[i]; !p.complete && !p.out && !p.asked {
			r.ask(i)
		}
	}
}

// giveUp ends what more asking does not help. With a majority of installs the attempt
// is Raft's to decide, and what remains is repair.
func (r *Reconfigurer) giveUp() {
	if r.stage <= Installing {
		r.fail(fmt.Errorf("%w after %d tries: %w", vstack.ErrNoQuorum, r.tries, r.reasons()))
		return
	}
	for i := range r.acceptors() {
		r.peers[i].out = !r.peers[i].complete
	}
	r.finish()
}

// reasons sums up why acceptors did not do their part.
func (r *Reconfigurer) reasons() error {
	var all []error
	for i, a := range r.acceptors() {
		switch p := r.peers[i]; {
		case p.complete:
		case p.err != nil:
			all = append(all, p.err)
		default:
			all = append(all, fmt.Errorf("store %s has not answered", a))
		}
	}
	return errors.Join(all...)
}

// activated takes Raft's verdict.
func (r *Reconfigurer) activated(err error) {
	switch {
	case r.stage != Activating:
	case err != nil:
		r.fail(fmt.Errorf("activate: %w", err))
	default:
		r.stage = Repairing
		r.finish()
	}
}

// finish ends the change once every new acceptor has the install or never will.
func (r *Reconfigurer) finish() {
	if r.stage != Repairing {
		return
	}
	var have []vstack.StoreID
	for i, a := range r.cfg.New {
		switch p := r.peers[i]; {
		case p.complete:
			have = append(have, a)
		case !p.out:
			return
		}
	}
	r.out = append(r.out, Reconfigured{Installed: have, Votes: len(r.votes)})
	r.stage = Ended
}

func (r *Reconfigurer) fail(err error) {
	r.out = append(r.out, Failed{Err: r.cfg.errorf("%w", err)})
	r.stage = Ended
}

func (r *Reconfigurer) count() int {
	n := 0
	for _, p := range r.peers {
		if p.complete {
			n++
		}
	}
	return n
}
