package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
)

const (
	// recheck bounds how long a piece that a policy neither starts nor wants to be asked
	// about again is left alone.
	recheck = 100 * time.Millisecond
	// nudgeEvery is how often bytes that come have the policy asked: they make room.
	nudgeEvery = 3 * time.Millisecond
	// maxAsks bounds how often the policy is asked in a row.
	maxAsks = 256
	// restAfter is how long a store has no request before its second connection is closed,
	// restEvery how often that is looked at.
	restAfter, restEvery = 10 * time.Second, 5 * time.Second
)

// Counters take what is counted; quicclient's metrics are one.
type Counters interface {
	Asked()                      // a request
	Answered()                   // its answer
	Attempt(result string)       // ok, lost, failed, corrupt
	Hedge()                      // an attempt beside another, or in its place
	Received(useful, more int64) // bytes of bodies: new ones, and others
}

// Config is what an Engine needs; all of it.
type Config struct {
	Pool     *stores.Pool
	Policy   policy.Policy
	How      stores.Transport
	Logger   *slog.Logger
	Counters Counters

	useful, extra *atomic.Int64
}

// Engine reads chunks for all readers of a client. One goroutine asks the policy; attempts
// run in their own and report back.
type Engine struct {
	cfg     Config
	buffers bufferPool
	kick    chan struct{} // something changed; capacity 1
	nudged  atomic.Int64  // when bytes last kicked, on the pool's clock

	mu     sync.Mutex
	chunks []*chunk // not over
	ids    uint64
	sight  sight
}

// New makes an engine; Run has to run for Read to end.
func New(cfg Config) *Engine {
	cfg.useful, cfg.extra = new(atomic.Int64), new(atomic.Int64)
	return &Engine{cfg: cfg, kick: make(chan struct{}, 1)}
}

// Run asks the policy whenever something changed, until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	rest := time.NewTicker(restEvery)
	defer rest.Stop()
	for {
		if wake := e.step(); wake > 0 {
			timer.Reset(wake)
		} else {
			timer.Stop()
		}
		select {
		case <-e.kick:
		case <-timer.C:
		case <-rest.C:
			e.cfg.Pool.Rest(restAfter)
		case <-ctx.Done():
			e.abandon()
			return
		}
	}
}

// Wake has the policy asked soon: a connection stands, say.
func (e *Engine) Wake() {
	select {
	case e.kick <- struct{}{}:
	default: // it will look anyway
	}
}

// nudge is Wake for bytes that come: not for each of them.
func (e *Engine) nudge(now time.Duration) {
	last := e.nudged.Load()
	if now-time.Duration(last) >= nudgeEvery && e.nudged.CompareAndSwap(last, int64(now)) {
		e.Wake()
	}
}

// Read reads a chunk, once through its holders.
//
// Errors: a *ReadError that names each store and why it failed, which is ErrNotFound or
// ErrUnavailable; ErrInvalid for what no chunk can be; ErrClosed; ctx's cause.
func (e *Engine) Read(ctx context.Context, req Request) (Result, error) {
	if err := req.validate(); err != nil {
		return Result{}, err
	}
	c := newChunk(e, req)
	c.span = trace.SpanFromContext(ctx)
	e.add(c)
	if err := c.wait(ctx); err != nil {
		// Progress must not be running when the caller takes its buffer for gone.
		c.delivery.Lock()
		defer c.delivery.Unlock()
		r := Result{Retries: len(c.errs), Hedges: c.hedges, Asked: c.asked, Liars: c.liars}
		return r, err
	}
	c.delivery.Lock()
	defer c.delivery.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	return c.result(e.cfg.Pool.Now()), nil
}

// Spent is what reading has cost.
func (e *Engine) Spent() policy.Spent {
	return policy.Spent{Useful: e.cfg.useful.Load(), Extra: e.cfg.extra.Load()}
}

func (c *Config) spent(useful, extra int64) {
	c.useful.Add(useful)
	c.extra.Add(extra)
	c.Counters.Received(useful, extra)
}

func (e *Engine) add(c *chunk) {
	// A second connection costs a handshake on the way of the first bytes: it is worth that
	// where those are more than one range for each store.
	end, _ := c.plan.at(0)
	for _, t := range c.req.Targets {
		t.Peer.Warm(end > firstRange*int64(len(c.req.Targets)))
	}
	e.mu.Lock()
	c.id, c.arrived = e.nextID(), e.cfg.Pool.Now()
	if e.cfg.Pool.Context().Err() != nil {
		c.end(vstack.ErrClosed)
	} else {
		c.cutUp()
		e.chunks = append(e.chunks, c)
	}
	e.mu.Unlock()
	e.Wake()
}

// nextID names pieces and chunks; the lock is held.
func (e *Engine) nextID() uint64 {
	e.ids++
	return e.ids
}

// giveUp ends a chunk that nobody waits for any more.
func (e *Engine) giveUp(c *chunk, why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.end(why)
}

// abandon ends what is left when the client closes.
func (e *Engine) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.chunks) > 0 {
		e.chunks[0].end(vstack.ErrClosed)
	}
}

// step asks the policy until it wants nothing more, and returns how long it may be left
// alone; 0 is for ever.
func (e *Engine) step() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := 0; i < len(e.chunks); {
		if err := e.chunks[i].exhausted(); err != nil {
			e.chunks[i].end(err) // takes it out
			continue
		}
		i++
	}
	if len(e.chunks) == 0 {
		return 0
	}
	var d policy.Decision
	for range maxAsks {
		v := e.look()
		d = e.cfg.Policy.Decide(v)
		did := 0
		for _, act := range d.Actions {
			if e.apply(act) {
				did++
			}
		}
		if did == 0 {
			break
		}
	}
	now := e.cfg.Pool.Now()
	for _, c := range e.chunks {
		for _, p := range c.pieces {
			if len(p.attempts) < p.need()-len(p.complete) && (d.Wake == 0 || d.Wake > now+recheck) {
				d.Wake = now + recheck
			}
		}
	}
	if d.Wake == 0 {
		return 0
	}
	return max(d.Wake-now, time.Millisecond)
}

// launch starts an attempt; the lock is held.
func (e *Engine) launch(p *piece, target int, from, to int64, act policy.Action, hedge bool) bool {
	c := p.c
	t := c.req.Targets[target]
	ctx, cancel := context.WithCancel(e.cfg.Pool.Context())
	now := e.cfg.Pool.Now()
	a := &attempt{
		e: e, c: c, piece: p, peer: t.Peer, target: target, share: p.share(t.Peer), from: from, to: to,
		urgency: act.Urgency, hedge: hedge, started: now, cancel: cancel,
	}
	if p.row < 0 && !c.single && c.tables < maxTables && c.ledger.wantsTable() {
		a.table, a.fresh = true, c.fresh
		c.tables++
	}
	a.pos.Store(from)
	a.owed.Store(to - from)
	a.progress.Store(int64(now))
	t.Peer.Begin(now, to-from)
	if t.Peer.Busy() > 1 {
		t.Peer.Warm(true)
	}
	started := e.cfg.Pool.Spawn(func(context.Context) {
		defer cancel()
		e.finished(a, a.run(ctx))
	})
	if !started {
		cancel()
		t.Peer.End(now, to-from, false)
		c.end(vstack.ErrClosed)
		return false
	}
	p.attempts = append(p.attempts, a)
	c.running++
	c.asked++
	if hedge {
		c.hedges++
		e.cfg.Counters.Hedge()
	}
	return true
}

// firstRange is what a connection that was never measured is asked for.
const firstRange = 64 << 10

// maxTables is how many attempts of a chunk ask for its leaf table at once.
const maxTables = 2

// liar is the error of a store whose bytes contradict a proven leaf.
func liar(leaf int) error {
	return fmt.Errorf("leaf %d: %w", leaf, vstack.ErrHashMismatch)
}
