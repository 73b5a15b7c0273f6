package quicclient

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
)

// recheck bounds how long a piece that a policy neither starts nor wants to be asked
// about again is left alone.
const recheck = 100 * time.Millisecond

// scheduler is the runtime of the policy: it shows it every unfinished piece of the
// client, and carries out what it decides. One goroutine asks; attempts run in their
// own and report back.
type scheduler struct {
	c    *Client
	kick chan struct{} // something changed; capacity 1

	mu        sync.Mutex
	pieces    []*piece // not delivered, earliest deadline first
	nextPiece uint64
	spent     policy.Spent
}

// piece is a range of a chunk that nobody has delivered yet; the scheduler's lock
// guards it.
type piece struct {
	id       uint64
	job      *job
	rng      policy.Range
	arrived  time.Duration
	failed   map[vstack.StoreID]bool
	attempts []*attempt // running
	won      *attempt
}

func (s *scheduler) init(c *Client) {
	s.c, s.kick = c, make(chan struct{}, 1)
}

// run is the scheduler's goroutine.
func (s *scheduler) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if wake := s.step(); wake > 0 {
			timer.Reset(wake)
		} else {
			timer.Stop()
		}
		select {
		case <-s.kick:
		case <-timer.C:
		case <-ctx.Done():
			s.abandon()
			return
		}
	}
}

func (s *scheduler) wake() {
	select {
	case s.kick <- struct{}{}:
	default: // it will look anyway
	}
}

// add queues a job's pieces.
func (s *scheduler) add(j *job) {
	for _, t := range j.targets {
		t.Peer.Warm()
	}
	s.mu.Lock()
	s.queue(j, s.c.cfg.Policy.Split(int64(j.ref.Size), j.deadline <= s.c.pool.Now()))
	s.mu.Unlock()
	s.wake()
}

// queue cuts a job; the lock is held.
func (s *scheduler) queue(j *job, cut []policy.Range) {
	now := s.c.pool.Now()
	if !covers(cut, int64(j.ref.Size)) {
		s.c.cfg.Logger.Error("policy cut a chunk wrongly", "policy", s.c.cfg.Policy.Name(), "size", j.ref.Size)
		cut = []policy.Range{{Length: int64(j.ref.Size)}}
	}
	j.pieces = j.pieces[:0]
	for _, r := range cut {
		s.nextPiece++
		p := &piece{id: s.nextPiece, job: j, rng: r, arrived: now, failed: make(map[vstack.StoreID]bool)}
		j.pieces = append(j.pieces, p)
		s.pieces = append(s.pieces, p)
	}
	slices.SortStableFunc(s.pieces, func(a, b *piece) int {
		return cmp.Or(cmp.Compare(a.job.deadline, b.job.deadline), cmp.Compare(a.id, b.id))
	})
}

func covers(cut []policy.Range, size int64) bool {
	var at int64
	for _, r := range cut {
		if r.Offset != at || r.Length <= 0 {
			return false
		}
		at += r.Length
	}
	return at == size
}

// remove ends a job that nobody waits for any more.
func (s *scheduler) remove(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !j.over() {
		s.endLocked(j, context.Canceled)
	}
}

// removeLocked takes a job's pieces out and cancels what runs for them.
func (s *scheduler) removeLocked(j *job) {
	s.pieces = slices.DeleteFunc(s.pieces, func(p *piece) bool { return p.job == j })
	for _, p := range j.pieces {
		for _, a := range p.attempts {
			a.cancel()
		}
	}
}

// step asks the policy once and returns how long it may be left alone; 0 is for ever.
func (s *scheduler) step() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.Clone(s.pieces) {
		if len(p.attempts) == 0 && len(p.failed) >= len(p.job.targets) && !p.job.over() {
			s.endLocked(p.job, p.job.failure())
		}
	}
	if len(s.pieces) == 0 {
		return 0
	}
	view := s.view()
	d := s.c.cfg.Policy.Decide(view)
	for _, act := range d.Actions {
		s.apply(act)
	}
	now := s.c.pool.Now()
	for _, p := range s.pieces {
		if len(p.attempts) == 0 && (d.Wake == 0 || d.Wake > now+recheck) {
			d.Wake = now + recheck
		}
	}
	if d.Wake == 0 {
		return 0
	}
	return max(d.Wake-now, time.Millisecond)
}

func (s *scheduler) view() policy.View {
	v := policy.View{Now: s.c.pool.Now(), Spent: s.spent, Pieces: make([]policy.Piece, 0, len(s.pieces))}
	seen := make(map[vstack.StoreID]bool)
	for _, p := range s.pieces {
		pp := policy.Piece{ID: p.id, Chunk: p.job.ref.ID, Range: p.rng, Arrived: p.arrived, Deadline: max(p.job.deadline, p.arrived)}
		for _, t := range p.job.targets {
			if p.failed[t.Store.ID] {
				continue
			}
			pp.Holders = append(pp.Holders, t.Store.ID)
			if !seen[t.Store.ID] {
				seen[t.Store.ID] = true
				v.Stores = append(v.Stores, t.Peer.Signals(v.Now, t.Store))
			}
		}
		for _, a := range p.attempts {
			pp.Running = append(pp.Running, a.view())
		}
		v.Pieces = append(v.Pieces, pp)
	}
	slices.SortFunc(v.Stores, func(a, b policy.Signals) int { return slices.Compare(a.Store[:], b.Store[:]) })
	return v
}

// apply carries one action out, or ignores it if it makes no sense any more.
func (s *scheduler) apply(act policy.Action) {
	i := slices.IndexFunc(s.pieces, func(p *piece) bool { return p.id == act.Piece })
	if i < 0 {
		return
	}
	p := s.pieces[i]
	running := slices.IndexFunc(p.attempts, func(a *attempt) bool { return a.peer.ID == act.Store })
	switch act.Kind {
	case policy.Cancel:
		if running >= 0 {
			p.attempts[running].cancel()
		}
	case policy.Start:
		t := slices.IndexFunc(p.job.targets, func(t stores.Target) bool { return t.Store.ID == act.Store })
		if t >= 0 && running < 0 && !p.failed[act.Store] {
			s.launch(p, p.job.targets[t].Peer, act.Urgency)
		}
	}
}

// launch starts an attempt; the lock is held.
func (s *scheduler) launch(p *piece, at *stores.Peer, urgency uint8) {
	ctx, cancel := context.WithCancel(s.c.pool.Context())
	a := &attempt{c: s.c, peer: at, job: p.job, piece: p, urgency: urgency, started: s.c.pool.Now(), cancel: cancel, hedge: len(p.attempts) > 0}
	a.progress.Store(int64(a.started))
	p.attempts = append(p.attempts, a)
	if a.hedge {
		p.job.hedges++
		s.c.metrics.hedges.Inc()
	}
	started := s.c.pool.Spawn(func(context.Context) {
		defer cancel()
		s.finished(a, a.run(ctx))
	})
	if !started {
		cancel()
		p.attempts = p.attempts[:len(p.attempts)-1]
		s.endLocked(p.job, vstack.ErrClosed)
	}
}

// finished takes an attempt's outcome.
func (s *scheduler) finished(a *attempt, err error) {
	defer s.wake()
	p, j := a.piece, a.job
	s.account(a, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.attempts = slices.DeleteFunc(p.attempts, func(o *attempt) bool { return o == a })
	if p.won != nil || j.over() {
		s.spent.Extra += a.got.Load()
		s.c.metrics.extra.Add(float64(a.got.Load()))
		s.c.buffers.put(a.buf)
		return
	}
	if err != nil {
		p.failed[a.peer.ID] = true
		s.spent.Extra += a.got.Load()
		s.c.metrics.extra.Add(float64(a.got.Load()))
		j.errs = append(j.errs, StoreError{Store: a.peer.ID, Addr: a.peer.Addr, Proto: a.proto, Err: err})
		return
	}
	p.won = a
	s.spent.Useful += p.rng.Length
	s.pieces = slices.DeleteFunc(s.pieces, func(o *piece) bool { return o == p })
	for _, loser := range p.attempts {
		loser.cancel()
	}
	if !j.complete() {
		return
	}
	if err := j.assemble(&s.c.buffers); err != nil {
		// One of several stores lied, and a range cannot tell which: ask each for all.
		s.c.cfg.Logger.Warn("ranges do not hash to their chunk", "slot", j.slot, "chunk", j.ref.ID, "error", err)
		s.queue(j, []policy.Range{{Length: int64(j.ref.Size)}})
		return
	}
	s.endLocked(j, nil)
}

// account tells the store's meter how the attempt went.
func (s *scheduler) account(a *attempt, err error) {
	result := "failed"
	switch {
	case err == nil:
		result = "ok"
		a.peer.Succeeded(1)
	case errors.Is(err, context.Canceled):
		// It lost, or nobody waits any more. A store that kept silent while another
		// delivered everything is as good as one that failed.
		result = "lost"
		sig := a.peer.Signals(a.ended, vstack.Store{})
		if patience := sig.Patience(); sig.Silence > patience && a.ended-time.Duration(a.progress.Load()) > patience {
			a.peer.Failed()
			a.peer.Eject(a.ended, a.peer.Packets())
		}
	case errors.Is(err, vstack.ErrNotFound):
		a.peer.Failed() // but it is an answer, and a prompt one
	default:
		if errors.Is(err, vstack.ErrHashMismatch) {
			result = "corrupt"
		}
		a.peer.Failed()
		a.peer.Eject(a.ended, 0)
	}
	s.c.metrics.attempts.WithLabelValues(result).Inc()
}

// endLocked ends a job.
func (s *scheduler) endLocked(j *job, err error) {
	s.removeLocked(j)
	j.err = err
	close(j.done)
}

// abandon ends what is left when the client closes.
func (s *scheduler) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pieces) > 0 {
		s.endLocked(s.pieces[0].job, vstack.ErrClosed)
	}
}
