package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
)

// attempt is one request for a run of bytes at one store. The fields below the line are
// its goroutine's until it has ended.
type attempt struct {
	e       *Engine
	c       *chunk
	piece   *piece
	peer    *stores.Peer
	target  int // index of the chunk's targets
	share   *share
	from    int64 // asked for, in the share
	to      int64
	urgency uint8
	table   bool // asks for the leaf table
	fresh   bool // and has it made anew
	hedge   bool
	started time.Duration
	cancel  context.CancelFunc

	pos      atomic.Int64 // next byte
	owed     atomic.Int64 // bytes asked for and neither received nor cut off
	progress atomic.Int64 // when its last byte came, on the pool's clock
	answered atomic.Bool

	// ---
	proto string
	bytes int64 // received
	used  int64 // of these, new
	ttfb  time.Duration
}

// readSize is how much is read at once: enough that the copy costs little, and so little
// that a leaf is proven soon after its last byte came.
const readSize = 32 << 10

var readBuffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// run brings the bytes.
func (a *attempt) run(ctx context.Context) error {
	ctx, span := tracing.Start(trace.ContextWithSpan(ctx, a.c.span), "get from a store", attribute.Stringer("store", a.peer.ID), attribute.String("server.address", a.peer.Addr),
		attribute.Int64("from", a.from), attribute.Int64("to", a.to), attribute.Bool("hedge", a.hedge))
	err := a.transfer(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Canceled // whatever the transport calls it
	}
	now := a.e.cfg.Pool.Now()
	left := a.owed.Swap(0)
	if errors.Is(err, context.Canceled) && a.answered.Load() {
		a.peer.Cut(now, left) // the link may still bring some of it
		left = 0
	}
	a.peer.End(now, left, a.answered.Load())
	if span.IsRecording() {
		span.SetAttributes(attribute.String("proto", a.proto), attribute.Int64("bytes", a.bytes), attribute.Float64("ttfb", a.ttfb.Seconds()))
	}
	tracing.End(span, err)
	return err
}

func (a *attempt) transfer(ctx context.Context) error {
	req, err := a.request(ctx)
	if err != nil {
		return err
	}
	a.e.cfg.Counters.Asked()
	resp, took, err := a.peer.Get(req, a.e.cfg.How, a.to-a.from)
	a.proto = resp.Proto
	load := a.to - a.from
	defer func() { took(load) }()
	if err != nil {
		return err
	}
	defer resp.Body.Close() // before the end this resets the stream, or ends the connection
	a.e.cfg.Counters.Answered()
	a.peer.Told(resp.Header.Get(wire.HeaderServerTiming))
	if err := a.check(resp.Response); err != nil {
		return err
	}
	if a.table {
		a.e.learn(a, resp.Header.Get(wire.HeaderLeaves))
	}
	ended, err := a.read(resp.Body, func(n int64) { took(n); load -= n })
	if err != nil {
		return err
	}
	if ended {
		a.peer.Told(resp.Trailer.Get(wire.HeaderServerTiming))
	}
	return nil
}

func (a *attempt) request(ctx context.Context) (*http.Request, error) {
	path := "/v1/chunks/" + a.c.req.Ref.ID.String()
	if a.piece.row >= 0 {
		path = a.c.req.Rows.Path(a.target)
	}
	if a.fresh {
		path += "?leaves=fresh"
	}
	if a.c.req.Certified {
		ctx = stores.Certified(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+a.peer.Addr+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	tracing.Inject(ctx, req.Header)
	req.Header.Set("TE", "trailers") // the store's view of the path during this answer
	if !a.full() {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", a.offset(), a.offset()+a.to-a.from-1))
	}
	if a.table {
		req.Header.Set(wire.HeaderLeaves, "?")
	}
	if a.c.req.Local && a.piece.row < 0 {
		req.Header.Set(wire.HeaderFragments, wire.FragmentsAsked)
	}
	if a.c.req.Token != "" {
		req.Header.Set(watch.Header, a.c.req.Token)
	}
	if a.c.req.Background {
		req.Header.Set("Priority", wire.PriorityBackground)
	} else if a.urgency != policy.UrgencyDefault {
		req.Header.Set("Priority", "u="+strconv.Itoa(int(a.urgency)))
	}
	return req, nil
}

// offset is where the first byte asked for lies in what the store serves.
func (a *attempt) offset() int64 { return a.piece.base() + a.from }

// full reports whether the answer is all that the store has under the name.
func (a *attempt) full() bool {
	return a.piece.row < 0 && a.from == 0 && a.to == int64(a.c.req.Ref.Size)
}

// check refuses an answer that is not exactly the bytes asked for.
func (a *attempt) check(resp *http.Response) error {
	if resp.StatusCode >= http.StatusBadRequest {
		err := wire.ReadError(resp)
		if held := wire.ParseFragments(resp.Header.Get(wire.HeaderFragments)); len(held) > 0 {
			err = &HeldError{Held: held, Err: err}
		}
		return err
	}
	want := http.StatusPartialContent
	if a.full() {
		want = http.StatusOK
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%w: status %d, want %d", vstack.ErrInternal, resp.StatusCode, want)
	}
	n := a.to - a.from
	if resp.ContentLength >= 0 && resp.ContentLength != n {
		return fmt.Errorf("%w: %d bytes announced, want %d", vstack.ErrInternal, resp.ContentLength, n)
	}
	if a.full() {
		return nil
	}
	var first, last, size int64
	got := resp.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(got, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != a.offset() || last != first+n-1 {
		return fmt.Errorf("%w: Content-Range %q, want bytes %d-%d", vstack.ErrInternal, got, a.offset(), a.offset()+n-1)
	}
	if a.piece.row < 0 && size != int64(a.c.req.Ref.Size) {
		return fmt.Errorf("%w: a chunk of %d bytes, want %d", vstack.ErrInternal, size, a.c.req.Ref.Size)
	}
	return nil
}

// read brings bytes to the share until the attempt's last one, or until others have
// brought or taken over what was left. ended tells whether the body was read to its end.
func (a *attempt) read(body io.Reader, took func(int64)) (ended bool, err error) {
	pooled := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(pooled)
	buf := *pooled
	for pos := a.from; pos < a.to; {
		n, err := body.Read(buf[:min(int64(len(buf)), a.to-pos)])
		if n > 0 {
			a.received(int64(n))
			took(int64(n))
			lo, hi, full := a.share.fill(pos, buf[:n])
			pos += int64(n)
			a.pos.Store(pos)
			a.used += hi - lo
			a.e.cfg.spent(hi-lo, int64(n)-(hi-lo))
			a.e.brought(a, lo, hi)
			if full && pos < a.to {
				return false, nil
			}
		}
		if pos < a.to && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return false, fmt.Errorf("after %d of %d bytes: %w", pos-a.from, a.to-a.from, err)
		}
	}
	// Reading on to EOF frees the connection for the next request and brings the
	// trailer; more bytes than asked for mean a confused server.
	if k, err := io.ReadFull(body, buf[:1]); k > 0 {
		return false, fmt.Errorf("%w: more than the %d bytes asked for", vstack.ErrInternal, a.to-a.from)
	} else if !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("after %d of %d bytes: %w", a.to-a.from, a.to-a.from, err)
	}
	return true, nil
}

// received keeps the store's meter.
func (a *attempt) received(n int64) {
	now := a.e.cfg.Pool.Now()
	if a.bytes == 0 {
		a.ttfb = now - a.started
		a.peer.FirstByte(now, a.ttfb)
		a.answered.Store(true)
	}
	a.bytes += n
	a.progress.Store(int64(now))
	owed := a.owed.Load()
	for !a.owed.CompareAndSwap(owed, max(0, owed-n)) {
		owed = a.owed.Load()
	}
	a.peer.Received(now, n, min(n, owed))
	a.e.nudge(now)
}

// view is the attempt as a policy sees it.
func (a *attempt) view(store int) policy.Attempt {
	_, end := a.share.state()
	pos := a.pos.Load()
	return policy.Attempt{
		Store: store, At: pos, To: max(pos, min(a.to, end)), Started: a.started,
		Progress: time.Duration(a.progress.Load()), Answered: a.answered.Load(),
	}
}
