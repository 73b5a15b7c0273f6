package chunkpaxos

import (
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// ReconfigurerConfig configures one attempt to move a placement group to its next
// epoch. Zero bounds take their defaults.
type ReconfigurerConfig struct {
	PG vstack.PG
	// From is the epoch that ends, To the next one with its attempt: what Raft wrote
	// as PREPARING. Raft issues an attempt to one process, once; a process that starts
	// again asks for a new one.
	From, To Group
	// Page is the most votes in one message. Default and maximum MaxPage.
	Page int
	// RetryMin and RetryMax bound the pause before an acceptor is asked again, which
	// doubles from one to the other. Defaults 50 ms and 2 s.
	RetryMin, RetryMax time.Duration
	// MaxTries bounds the rounds of asking. Default 64.
	MaxTries int
}

// Validate checks the configuration and fills in the defaults.
func (c *ReconfigurerConfig) Validate() error {
	bad := func(what string) error {
		return fmt.Errorf("move placement group %d to epoch %d: %w: %s", c.PG, c.To.Epoch, vstack.ErrInvalid, what)
	}
	for _, g := range []Group{c.From, c.To} {
		if len(g.Acceptors) == 0 || len(g.Acceptors) > vstack.Acceptors || g.PG != c.PG {
			return bad(fmt.Sprintf("%d acceptors of group %d", len(g.Acceptors), g.PG))
		}
	}
	switch {
	case c.From.Epoch == 0 || c.To.Epoch != c.From.Epoch+1:
		return bad(fmt.Sprintf("it is at %d", c.From.Epoch))
	case c.To.Attempt == 0:
		return bad("no attempt")
	}
	if c.Page <= 0 || c.Page > message.MaxPage {
		c.Page = message.MaxPage
	}
	setDefault(&c.RetryMin, 50*time.Millisecond)
	setDefault(&c.RetryMax, 2*time.Second)
	setDefault(&c.MaxTries, 64)
	return nil
}

// Reconfigurer drives one epoch change of one placement group: seal, install,
// activate. It is a step machine like Proposer, and needs no memory of its own: when
// its process dies, another one begins a new attempt.
//
//	Start ─► seal the old acceptors ─► majority: merge ─► install on the new ones
//	      ─► majority: Activate ─► Activated ─► install on the rest ─► Reconfigured
type Reconfigurer struct {
	cfg    ReconfigurerConfig
	stage  changeStage
	peers  map[vstack.StoreID]*peer     // of the current stage
	votes  map[vstack.Slot]message.Vote // highest (epoch, ballot) of the sealed acceptors
	order  []message.Vote               // the same by slot, once the old epoch is frozen
	tries  int
	timer  Token
	out    []Action
	mutant reconfigurerMutant
}

type changeStage uint8

const (
	unbegun changeStage = iota
	sealing
	installing
	activating // Raft was asked; installs go on meanwhile
	activated
	ended
)

// peer is how far one acceptor got in a stage.
type peer struct {
	page     int // the one that is asked for
	after    *vstack.Slot
	votes    []message.Vote // of a seal, until it is complete
	complete bool
	out      error // it will never take part in this attempt
}

// reconfigurerMutant breaks one rule each; only tests can set it.
type reconfigurerMutant struct {
	sealOne bool // one sealed acceptor counts as a majority
	lowest  bool // the lowest ballot's value is installed
}

// NewReconfigurer checks the configuration. Step(Start{}) begins.
func NewReconfigurer(cfg ReconfigurerConfig) (*Reconfigurer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Reconfigurer{cfg: cfg, votes: make(map[vstack.Slot]message.Vote)}, nil
}

// Done reports whether Reconfigured or Failed was given.
func (r *Reconfigurer) Done() bool { return r.stage == ended }

// Step takes one event and returns what is to be done about it. The slice is the
// caller's.
func (r *Reconfigurer) Step(e Event) []Action {
	r.out = nil
	switch e := e.(type) {
	case Start:
		if r.stage == unbegun {
			r.begin(sealing, r.cfg.From.Acceptors)
		}
	case Answer:
		r.answer(e.Call, e.Reply)
	case Unreachable: // the timer asks again
	case Timeout:
		if e.Token == r.timer && r.stage != ended {
			r.again()
		}
	case Activated:
		r.activated(e.Err)
	}
	return r.out
}

// begin asks every acceptor of a stage for its first page.
func (r *Reconfigurer) begin(s changeStage, acceptors []vstack.StoreID) {
	r.stage, r.tries, r.peers = s, 0, make(map[vstack.StoreID]*peer, len(acceptors))
	for _, id := range acceptors {
		r.peers[id] = &peer{}
		r.ask(id)
	}
	r.setTimer()
}

// acceptors are those of the current stage, in order, so that a schedule replays.
func (r *Reconfigurer) acceptors() []vstack.StoreID {
	if r.stage == sealing {
		return r.cfg.From.Acceptors
	}
	return r.cfg.To.Acceptors
}

// ask sends the page that an acceptor needs next.
func (r *Reconfigurer) ask(to vstack.StoreID) {
	p := r.peers[to]
	call := Call{Ballot: message.InstallBallot(r.cfg.To.Attempt), Accept: r.stage != sealing, To: to, Page: p.page}
	if r.stage == sealing {
		r.out = append(r.out, Send{Call: call, Msg: message.Seal{PG: r.cfg.PG, Epoch: r.cfg.From.Epoch, After: p.after, Limit: r.cfg.Page}})
		return
	}
	from := min(p.page*r.cfg.Page, len(r.order))
	upTo := min(from+r.cfg.Page, len(r.order))
	r.out = append(r.out, Send{Call: call, Msg: message.Install{
		PG: r.cfg.PG, Epoch: r.cfg.To.Epoch, Attempt: r.cfg.To.Attempt,
		First: p.page == 0, Final: upTo == len(r.order), Votes: r.order[from:upTo],
	}})
}

func (r *Reconfigurer) answer(c Call, reply message.Reply) {
	p := r.peers[c.To]
	if p == nil || p.complete || p.out != nil || c.Page != p.page || c.Accept != (r.stage != sealing) || r.stage == ended {
		return
	}
	switch m := reply.(type) {
	case message.Sealed:
		if r.stage == sealing && m.PG == r.cfg.PG && m.Epoch == r.cfg.From.Epoch {
			r.sealedPage(c.To, p, m)
		}
	case message.Installed:
		if r.stage != sealing && m.PG == r.cfg.PG && m.Epoch == r.cfg.To.Epoch && m.Attempt == r.cfg.To.Attempt {
			r.installedPage(c.To, p, m)
		}
	case message.Nack:
		r.refused(p, m)
	}
}

func (r *Reconfigurer) sealedPage(from vstack.StoreID, p *peer, m message.Sealed) {
	for _, v := range m.Votes {
		if p.after == nil || message.CompareSlots(*p.after, v.Slot) < 0 {
			at := v.Slot
			p.after = &at
			p.votes = append(p.votes, v)
		}
	}
	if m.More && len(m.Votes) > 0 {
		p.page++
		r.ask(from)
		return
	}
	p.complete = true
	for _, v := range p.votes {
		w, ok := r.votes[v.Slot]
		newer := w.Epoch < v.Epoch || w.Epoch == v.Epoch && w.Ballot.Less(v.Ballot)
		if !ok || newer != r.mutant.lowest {
			r.votes[v.Slot] = v
		}
	}
	p.votes = nil
	if r.count() < r.quorum(len(r.cfg.From.Acceptors)) {
		return
	}
	for _, v := range r.votes {
		r.order = append(r.order, v)
	}
	slices.SortFunc(r.order, func(x, y message.Vote) int { return message.CompareSlots(x.Slot, y.Slot) })
	r.begin(installing, r.cfg.To.Acceptors)
}

func (r *Reconfigurer) quorum(n int) int {
	if r.mutant.sealOne {
		return 1
	}
	return message.Majority(n)
}

func (r *Reconfigurer) installedPage(from vstack.StoreID, p *peer, m message.Installed) {
	if !m.Final {
		p.page++
		r.ask(from)
		return
	}
	p.complete = true
	if r.stage == installing && r.count() >= message.Majority(len(r.cfg.To.Acceptors)) {
		r.stage = activating
		r.out = append(r.out, Activate{Group: r.cfg.To})
	}
	r.finish()
}

// refused judges a Nack: most of them pass with time, some end an acceptor's part in
// this attempt, and one that is overtaken ends the attempt.
func (r *Reconfigurer) refused(p *peer, n message.Nack) {
	switch n.Reason {
	case vstack.ErrAmnesic, vstack.ErrNotAcceptor, vstack.ErrHashMismatch:
		p.out = n.Err()
	case vstack.ErrEpochStale:
		// A store that has not heard of From yet will; any other is ahead of this attempt.
		if r.stage != sealing || n.Epoch > r.cfg.From.Epoch {
			p.out = n.Err()
		}
	case vstack.ErrInvalid:
		if r.stage == sealing || p.page == 0 {
			p.out = n.Err()
			break
		}
		p.page = 0 // it lost the pages before
	}
	if p.out == nil {
		return
	}
	left := 0
	for _, q := range r.peers {
		if q.out == nil {
			left++
		}
	}
	if r.stage <= installing && left < r.quorum(len(r.peers)) {
		r.fail(p.out)
		return
	}
	r.finish()
}

// again asks those that have not completed, after a pause that doubles.
func (r *Reconfigurer) again() {
	if r.tries++; r.tries >= r.cfg.MaxTries {
		if r.stage == activated { // the epoch has its majority; the rest is repair
			r.end()
			return
		}
		r.fail(fmt.Errorf("%w after %d tries", vstack.ErrNoQuorum, r.tries))
		return
	}
	for _, id := range r.acceptors() {
		if p := r.peers[id]; !p.complete && p.out == nil {
			r.ask(id)
		}
	}
	r.setTimer()
}

// activated takes Raft's verdict.
func (r *Reconfigurer) activated(err error) {
	switch {
	case r.stage != activating:
	case err != nil:
		r.fail(err)
	default:
		r.stage = activated
		r.finish()
	}
}

// finish ends the change once every new acceptor has the install or never will.
func (r *Reconfigurer) finish() {
	if r.stage != activated {
		return
	}
	for _, p := range r.peers {
		if !p.complete && p.out == nil {
			return
		}
	}
	r.end()
}

func (r *Reconfigurer) end() {
	r.stage = ended
	var have []vstack.StoreID
	for _, id := range r.cfg.To.Acceptors {
		if r.peers[id].complete {
			have = append(have, id)
		}
	}
	r.out = append(r.out, Reconfigured{Installed: have, Votes: len(r.order)})
}

func (r *Reconfigurer) fail(err error) {
	r.stage = ended
	r.out = append(r.out, Failed{Err: fmt.Errorf("move placement group %d to epoch %d, attempt %d: %w", r.cfg.PG, r.cfg.To.Epoch, r.cfg.To.Attempt, err)})
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

func (r *Reconfigurer) setTimer() {
	d := r.cfg.RetryMax
	if r.tries < 16 {
		d = min(d, r.cfg.RetryMin<<r.tries)
	}
	r.timer++
	r.out = append(r.out, SetTimer{Token: r.timer, After: d})
}

// Activated tells a Reconfigurer what Raft made of its Activate. With an Err nothing
// was activated and nothing will be: another attempt was issued, or the epoch moved.
// A proposal whose fate is unknown is made again.
type Activated struct{ Err error }

func (Activated) event() {}

// Activate asks Raft to begin Group.Epoch with what Group.Attempt installed: a majority
// of Group.Acceptors has it durably. Raft does so if this attempt is the last one it
// issued for the placement group, and answers with Activated.
type Activate struct{ Group Group }

// Reconfigured says that the new epoch is active. Acceptors that are not in Installed
// take no part in it.
type Reconfigured struct {
	Installed []vstack.StoreID
	Votes     int // that were carried over
}

func (Activate) action()     {}
func (Reconfigured) action() {}
