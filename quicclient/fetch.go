package quicclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/quicclient/playback"
	"github.com/vstack/vstack/quicclient/stores"
	"github.com/vstack/vstack/quicclient/transfer"
)

const (
	// roundPause is how long Fetch waits before it goes through the holders again; it
	// doubles with each round.
	roundPause = 100 * time.Millisecond
	// fetchTimeout bounds one round: far beyond what a chunk takes on a link that is
	// fit for watching, and there so that nothing waits for ever.
	fetchTimeout = 60 * time.Second
)

// The errors of package transfer, under the names that users of this package know.
type (
	// FetchError says that no holder delivered a chunk, and why each did not.
	FetchError = transfer.ReadError
	// StoreError is why one store did not deliver.
	StoreError = transfer.StoreError
)

// Fetched is a verified chunk and how it came. Data belongs to the caller.
type Fetched struct {
	playback.Delivery
	Data []byte

	result transfer.Result
}

// Release gives Data back for reuse. It is optional, and the last use of Data.
func (f *Fetched) Release() {
	f.result.Release()
	f.Data = nil
}

// Fetch reads the chunk that ref names and that slot places, verified by its leaves or by
// its SHA-256. It asks the stores that the policy favours, and others as soon as those
// fail or fall behind; when all holders failed, it asks for a newer placement map and tries
// all five targets, and then every store: a group that moved more than once may have
// left its chunks behind. FetchRounds times in all.
//
// Errors: a *FetchError that names each store and why it failed, which is ErrNotFound
// or ErrUnavailable; ErrInvalid for a ref that no chunk can have; ErrNotReady without
// placement; ErrClosed; ctx's error.
func (c *Client) Fetch(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) (Fetched, error) {
	return c.fetch(ctx, transfer.Request{Slot: slot, Ref: ref}, c.lies.of(slot, ref.Size))
}

// FetchAs is Fetch for a caller who knows how the chunk should lie: in fragments of a scheme,
// or as copies if that is zero.
func (c *Client) FetchAs(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef, scheme vstack.Scheme) (Fetched, error) {
	return c.fetch(ctx, transfer.Request{Slot: slot, Ref: ref, Background: isBackground(ctx)}, scheme)
}

// backgroundKey marks the context of reads that nobody waits for.
type backgroundKey struct{}

// Background has stores serve what FetchAs and Fragment read under the context after what
// others read: it is for repair.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

func isBackground(ctx context.Context) bool {
	marked, _ := ctx.Value(backgroundKey{}).(bool)
	return marked
}

// Certified has what is read under the context be asked for with the client's certificate, by
// which hosts and administrators read private films. Other reads show none (see Sessions), but
// for the token of the context (package watch).
func Certified(ctx context.Context) context.Context { return stores.Certified(ctx) }

// fetch is FetchAs for a chunk of a playback. First it asks as the chunk should lie. Copies
// that turn out to be fragments are asked for again, as fragments, at once. If neither gives
// the chunk, the rounds that follow ask all targets for the whole chunk, which those that
// hold fragments join, and find the rotten one if there is one.
func (c *Client) fetch(ctx context.Context, req transfer.Request, scheme vstack.Scheme) (out Fetched, err error) {
	ctx, span := tracing.Start(ctx, "fetch chunk", attribute.Stringer("slot", req.Slot), attribute.Int("bytes", int(req.Ref.Size)))
	defer func() { traced(span, out, req.Rows != nil, err) }()
	req.Token, req.Certified = watch.In(ctx), stores.IsCertified(ctx)
	slot, ref := req.Slot, req.Ref
	if ref.Size == 0 || ref.Size > vstack.MaxChunkSize || ref.ID.IsZero() {
		return Fetched{}, fmt.Errorf("fetch slot %s: %w: chunk %s of %d bytes", slot, vstack.ErrInvalid, ref.ID.Short(), ref.Size)
	}
	began := c.pool.Now()
	m, err := c.pool.Placement(ctx)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch slot %s: %w", slot, err)
	}
	var before transfer.Result
	pause := roundPause
	for round, again := 1, false; ; round++ {
		if err := c.aim(&req, m, round, scheme); err != nil {
			return Fetched{}, fmt.Errorf("fetch slot %s: %w", slot, err)
		}
		r, err := c.oneRound(ctx, req)
		r.Retries, r.Hedges, r.Asked = r.Retries+before.Retries, r.Hedges+before.Hedges, r.Asked+before.Asked
		r.Liars = append(before.Liars, r.Liars...)
		before = r
		if err == nil {
			return c.fetched(r, began), nil
		}
		if held, named := heldInstead(err); named && !again {
			scheme, again = held, true
			c.lies.set(slot.Video, held)
			round--
			continue
		}
		if failed := (*FetchError)(nil); req.Rows != nil && errors.As(err, &failed) {
			c.lies.set(slot.Video, vstack.Scheme{})
		}
		if round >= c.cfg.FetchRounds || ctx.Err() != nil || errors.Is(err, vstack.ErrClosed) {
			return Fetched{}, err
		}
		if !sleep.For(ctx, pause/2+rand.N(pause)) {
			return Fetched{}, err
		}
		pause *= 2
		if newer, nerr := c.pool.Newer(ctx, m.Version); nerr == nil {
			m = newer
		}
	}
}

// aim sets whom a round asks, and for what. Init chunks are copies in every class.
func (c *Client) aim(req *transfer.Request, m *vstack.PlacementMap, round int, scheme vstack.Scheme) error {
	req.Rows, req.Local = nil, round == 1
	if round > 1 || scheme.IsZero() || req.Slot.Seq == 0 {
		req.Targets = c.pool.Targets(m, holders(m, req.Slot, round))
		return nil
	}
	group, _ := m.Group(req.Slot)
	ids, numbers := fragmentHolders(group, scheme)
	req.Targets = c.pool.Targets(m, ids)
	if len(req.Targets) != len(ids) { // a store that the map does not know: numbers would not fit
		req.Targets = c.pool.Targets(m, holders(m, req.Slot, round+1))
		return nil
	}
	var err error
	req.Rows, err = rowsOf(req.Ref, scheme, numbers)
	return err
}

// maxHolders bounds the stores that one round asks.
const maxHolders = 64

// holders are the stores to ask in a round: the acceptors, all targets, then whoever is up.
func holders(m *vstack.PlacementMap, slot vstack.Slot, round int) []vstack.StoreID {
	group, _ := m.Group(slot)
	if round == 1 {
		return group.Acceptors()
	}
	ids := slices.Clone(group.Targets)
	for _, s := range m.Stores {
		if round > 2 && s.State == vstack.StoreUp && !slices.Contains(group.Targets, s.ID) && len(ids) < maxHolders {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// oneRound reads a chunk once through its holders.
func (c *Client) oneRound(ctx context.Context, req transfer.Request) (transfer.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, vstack.ErrTimeout)
	defer cancel()
	r, err := c.engine.Read(ctx, req)
	var failed *FetchError
	if err != nil && !errors.As(err, &failed) {
		err = fmt.Errorf("fetch slot %s: %w", req.Slot, err)
	}
	return r, err
}

// traced ends the span of a chunk, and has it kept where it did not come the usual way.
func traced(span trace.Span, f Fetched, rows bool, err error) {
	switch {
	case rows:
		tracing.Keep(span, "decoded")
	case f.Hedges > 0:
		tracing.Keep(span, "hedged")
	case f.Retries > 0:
		tracing.Keep(span, "retried")
	}
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("asked", f.Asked), attribute.Int("hedges", f.Hedges), attribute.Int("retries", f.Retries), attribute.Stringer("store", f.Store))
	}
	tracing.End(span, err)
}

func (c *Client) fetched(r transfer.Result, began time.Duration) Fetched {
	f := Fetched{Data: r.Data, result: r}
	f.Elapsed, f.Retries, f.Hedges, f.TTFB = c.pool.Now()-began, r.Retries, r.Hedges, r.TTFB
	f.Store, f.Proto, f.Asked, f.Liars = r.Store, r.Proto, r.Asked, r.Liars
	for _, s := range r.Sources {
		f.Sources = append(f.Sources, Source{Store: s.Store, Proto: s.Proto, Bytes: s.Bytes})
	}
	c.metrics.fetches.WithLabelValues(f.Proto).Observe(f.Elapsed.Seconds())
	return f
}
