package transfer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/stores"
)

// chunk is one chunk that is being read, once through its holders. The engine's lock
// guards what is below the first line.
type chunk struct {
	e       *Engine
	id      uint64
	req     Request
	arrived time.Duration
	span    trace.Span // of who asked for it; the attempts' are below it
	buf     []byte
	grain   int64
	plan    plan
	ledger  *ledger

	delivery sync.Mutex   // of calls of Progress
	told     atomic.Int64 // bytes that Progress was told of

	// ---
	pieces  []*piece // in the order of their bytes
	failed  map[vstack.StoreID]bool
	errs    []StoreError
	liars   []vstack.StoreID
	hedges  int
	asked   int
	tables  int  // attempts that ask for the table
	fresh   bool // a table did not match the manifest: have it made anew
	single  bool // its bytes have to come from one store, so that a liar is named
	running int  // attempts whose goroutines have not ended
	ttfb    time.Duration
	over    bool
	err     error
	done    chan struct{} // closed when over
}

// piece is a run of bytes that are still to come.
type piece struct {
	id       uint64
	c        *chunk
	row      int    // of an erasure code; -1 for copies
	whole    bool   // one store has to bring all of it
	copies   *share // of a piece of copies
	shares   map[*stores.Peer]*share
	complete map[*stores.Peer]bool // of shares
	attempts []*attempt            // running
}

func newChunk(e *Engine, req Request) *chunk {
	c := &chunk{
		e: e, req: req, grain: 1, failed: map[vstack.StoreID]bool{}, done: make(chan struct{}),
		buf: e.buffers.get(int(req.Ref.Size)),
	}
	c.ledger = newLedger(req.Ref, c.buf)
	if !req.Ref.Leaves.IsZero() {
		c.grain = vstack.LeafSize
	}
	c.plan = newPlan(&req, c.grain)
	return c
}

// cutUp makes the first pieces; the engine's lock is held.
func (c *chunk) cutUp() {
	if c.req.Rows == nil {
		c.pieces = []*piece{c.copy(0, int64(c.req.Ref.Size), false)}
		return
	}
	for i := range c.req.Rows.List {
		c.pieces = append(c.pieces, &piece{
			id: c.e.nextID(), c: c, row: i, whole: true,
			shares: map[*stores.Peer]*share{}, complete: map[*stores.Peer]bool{},
		})
	}
}

// copy makes a piece of the chunk's own bytes.
func (c *chunk) copy(lo, hi int64, whole bool) *piece {
	return &piece{id: c.e.nextID(), c: c, row: -1, whole: whole, copies: &share{buf: c.buf, at: lo, end: hi}}
}

// insert adds a piece in its place; the engine's lock is held.
func (c *chunk) insert(p *piece) {
	lo, _ := p.copies.state()
	i, _ := slices.BinarySearchFunc(c.pieces, lo, func(o *piece, lo int64) int {
		at, _ := o.copies.state()
		return cmp.Compare(at, lo)
	})
	c.pieces = slices.Insert(c.pieces, i, p)
}

// span is what is to come of a piece: in the chunk, or in a share of its row.
func (p *piece) span() (from, to int64) {
	if p.row < 0 {
		return p.copies.state()
	}
	return 0, p.c.req.Rows.List[p.row].Share
}

// offset is where a piece's bytes begin in the chunk.
func (p *piece) offset() (off int64) {
	if p.row < 0 {
		off, _ = p.copies.state()
		return off
	}
	for _, row := range p.c.req.Rows.List[:p.row] {
		off += row.Size
	}
	return off
}

func (p *piece) need() int {
	if p.row < 0 {
		return 1
	}
	return p.c.req.Rows.Need
}

// share is where a store's bytes of the piece go; the engine's lock is held.
func (p *piece) share(at *stores.Peer) *share {
	if p.row < 0 {
		return p.copies
	}
	s := p.shares[at]
	if s == nil {
		n := p.c.req.Rows.List[p.row].Share
		s = &share{buf: make([]byte, n), end: n}
		p.shares[at] = s
	}
	return s
}

// base is where in what a store is asked for the piece's bytes begin to count.
func (p *piece) base() (off int64) {
	if p.row < 0 {
		return 0
	}
	for _, row := range p.c.req.Rows.List[:p.row] {
		off += row.Share
	}
	return off
}

// drop takes a piece out and cancels what runs for it; the engine's lock is held.
func (c *chunk) drop(p *piece) {
	c.pieces = slices.DeleteFunc(c.pieces, func(o *piece) bool { return o == p })
	for _, a := range p.attempts {
		a.cancel()
	}
}

// end ends the chunk; the engine's lock is held.
func (c *chunk) end(err error) {
	if c.over {
		return
	}
	c.over, c.err = true, err
	for _, p := range c.pieces {
		for _, a := range p.attempts {
			a.cancel()
		}
	}
	c.pieces = nil
	c.e.chunks = slices.DeleteFunc(c.e.chunks, func(o *chunk) bool { return o == c })
	close(c.done)
	c.reclaim()
}

// reclaim reuses the buffer of a chunk that failed once nobody writes to it any more; the
// engine's lock is held.
func (c *chunk) reclaim() {
	if c.over && c.err != nil && c.running == 0 && c.buf != nil {
		if c.told.Load() == 0 { // else a reader may still look at what it was told of
			c.e.buffers.put(c.buf)
		}
		c.buf = nil
	}
}

// exhausted is the error of a chunk of which a piece cannot come any more: too few of its
// holders are left. The engine's lock is held.
func (c *chunk) exhausted() error {
	for _, p := range c.pieces {
		left := 0
		for _, t := range c.req.Targets {
			if !c.failed[t.Store.ID] || p.complete[t.Peer] {
				left++
			}
		}
		if left < p.need() && len(p.attempts) == 0 {
			return &ReadError{Slot: c.req.Slot, Chunk: c.req.Ref.ID, Stores: c.errs}
		}
	}
	return nil
}

// advance tells the reader of proven bytes.
func (c *chunk) advance(head int64) {
	if c.req.Progress == nil || head == 0 {
		return
	}
	c.delivery.Lock()
	defer c.delivery.Unlock()
	if head > c.told.Load() {
		c.told.Store(head)
		c.req.Progress(c.ledger.buf[:head])
	}
}

// result describes a chunk that was read.
func (c *chunk) result(now time.Duration) Result {
	r := Result{
		Data: c.buf, pool: &c.e.buffers, Elapsed: now - c.arrived, Retries: len(c.errs), Hedges: c.hedges,
		Asked: c.asked, TTFB: c.ttfb, Liars: slices.Clone(c.liars),
	}
	for _, o := range c.ledger.origins() {
		i := slices.IndexFunc(r.Sources, func(s Source) bool { return s.Store == o.by.peer.ID })
		if i < 0 {
			i = len(r.Sources)
			r.Sources = append(r.Sources, Source{Store: o.by.peer.ID, Proto: o.by.proto})
		}
		r.Sources[i].Bytes += o.hi - o.lo
	}
	slices.SortStableFunc(r.Sources, func(a, b Source) int { return cmp.Compare(b.Bytes, a.Bytes) })
	if len(r.Sources) > 0 {
		r.Store, r.Proto = r.Sources[0].Store, r.Sources[0].Proto
	}
	return r
}

// wait ends with the chunk, or with ctx, or when the client closes.
func (c *chunk) wait(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		c.e.giveUp(c, context.Cause(ctx))
	case <-c.e.cfg.Pool.Context().Done():
		c.e.giveUp(c, vstack.ErrClosed)
	}
	<-c.done
	if c.e.cfg.Pool.Context().Err() != nil && c.err != nil && !errors.Is(c.err, vstack.ErrClosed) {
		return vstack.ErrClosed
	}
	return c.err
}
