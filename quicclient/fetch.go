package quicclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/playback"
)

const (
	// roundPause is how long Fetch waits before it goes through the holders again; it
	// doubles with each round.
	roundPause = 100 * time.Millisecond
	// fetchTimeout bounds one round: far beyond what a chunk takes on a link that is
	// fit for watching, and there so that nothing waits for ever.
	fetchTimeout = 60 * time.Second
)

// Fetched is a verified chunk and how it came. Data belongs to the caller.
type Fetched struct {
	playback.Delivery
	Data []byte

	pool *bufferPool
}

// Release gives Data back for reuse. It is optional, and the last use of Data.
func (f *Fetched) Release() {
	if f.pool != nil && f.Data != nil {
		f.pool.put(f.Data)
	}
	f.Data, f.pool = nil, nil
}

// Fetch reads the chunk that ref names and that slot places, verified by its SHA-256.
// It asks the store that the policy favours, and another one as soon as that fails or
// falls silent; when all holders failed, it asks for a newer placement map and tries
// all five targets, and then every store: a group that moved more than once may have
// left its chunks behind. FetchRounds times in all.
//
// Errors: a *FetchError that names each store and why it failed, which is ErrNotFound
// or ErrUnavailable; ErrInvalid for a ref that no chunk can have; ErrNotReady without
// placement; ErrClosed; ctx's error.
func (c *Client) Fetch(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) (Fetched, error) {
	return c.fetch(ctx, slot, ref, 0)
}

// fetch is Fetch for a chunk that playback needs at deadline.
func (c *Client) fetch(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef, deadline time.Duration) (Fetched, error) {
	if ref.Size == 0 || ref.Size > vstack.MaxChunkSize || ref.ID.IsZero() {
		return Fetched{}, fmt.Errorf("fetch slot %s: %w: chunk %s of %d bytes", slot, vstack.ErrInvalid, ref.ID.Short(), ref.Size)
	}
	began := c.pool.Now()
	m, err := c.pool.Placement(ctx)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch slot %s: %w", slot, err)
	}
	retries, pause := 0, roundPause
	for round := 1; ; round++ {
		j := &job{slot: slot, ref: ref, deadline: deadline, targets: c.pool.Targets(m, holders(m, slot, round)), done: make(chan struct{})}
		err := c.oneRound(ctx, j)
		retries += len(j.errs)
		if err == nil {
			return c.fetched(j, began, retries), nil
		}
		if round >= c.cfg.FetchRounds || ctx.Err() != nil || errors.Is(err, vstack.ErrClosed) {
			return Fetched{}, err
		}
		if sleep(ctx, pause/2+rand.N(pause)) != nil {
			return Fetched{}, err
		}
		pause *= 2
		if newer, nerr := c.pool.Newer(ctx, m.Version); nerr == nil {
			m = newer
		}
	}
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

// oneRound runs a job to its end.
func (c *Client) oneRound(ctx context.Context, j *job) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, vstack.ErrTimeout)
	defer cancel()
	if c.pool.Context().Err() != nil {
		return fmt.Errorf("fetch slot %s: %w", j.slot, vstack.ErrClosed)
	}
	c.sched.add(j)
	select {
	case <-j.done:
		if errors.Is(j.err, vstack.ErrClosed) {
			return fmt.Errorf("fetch slot %s: %w", j.slot, j.err)
		}
		return j.err
	case <-ctx.Done():
	case <-c.pool.Context().Done():
	}
	c.sched.remove(j)
	if c.pool.Context().Err() != nil {
		return fmt.Errorf("fetch slot %s: %w", j.slot, vstack.ErrClosed)
	}
	return fmt.Errorf("fetch slot %s: %w", j.slot, context.Cause(ctx))
}

func (c *Client) fetched(j *job, began time.Duration, retries int) Fetched {
	f := Fetched{Data: j.data, pool: &c.buffers}
	f.Elapsed, f.Retries, f.Hedges = c.pool.Now()-began, retries, j.hedges
	for _, p := range j.pieces {
		a := p.won
		i := slices.IndexFunc(f.Sources, func(s Source) bool { return s.Store == a.peer.ID })
		if i < 0 {
			i = len(f.Sources)
			f.Sources = append(f.Sources, Source{Store: a.peer.ID, Proto: a.proto})
		}
		f.Sources[i].Bytes += p.rng.Length
	}
	f.TTFB = j.pieces[0].won.ttfb
	best := slices.MaxFunc(f.Sources, func(a, b Source) int { return cmp.Compare(a.Bytes, b.Bytes) })
	f.Store, f.Proto = best.Store, best.Proto
	c.metrics.fetches.WithLabelValues(f.Proto).Observe(f.Elapsed.Seconds())
	return f
}
