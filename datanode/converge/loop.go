package converge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxCorrupt bounds the damaged chunks that wait for healing; a scrub finds the
	// others again.
	maxCorrupt = 64 << 10
	// yieldPause is how long a worker waits while the store's reads are slow.
	yieldPause = 500 * time.Millisecond
	// maxYields bounds how often it waits for one chunk.
	maxYields = 4
	// dropBatch bounds the chunks of one append of tombstones.
	dropBatch = 512
	// inventoryPage is how many chunks are looked at between two looks at the context.
	inventoryPage = 4096
)

// Loop converges one store.
type Loop struct {
	cfg     Config
	metrics *metrics
	wake    chan struct{}
	scrubs  chan int64 // requests for a scrub, with its rate

	looked  time.Duration // what the last pass took without its fetches; of Run alone
	missing atomic.Int64
	passes  atomic.Int64

	mu      sync.Mutex // guards all below
	corrupt map[vstack.ChunkID]struct{}
	scrub   scrubState
	// Of the last survey.
	surveyed uint64 // catalog index
	behind   []vstack.PG

	unnamed map[vstack.ChunkID]time.Time // since when; of Run alone
}

// New makes a Loop; Run does the work.
func New(cfg Config) (*Loop, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Loop{
		cfg: cfg, wake: make(chan struct{}, 1), scrubs: make(chan int64, 1),
		corrupt: map[vstack.ChunkID]struct{}{}, unnamed: map[vstack.ChunkID]time.Time{},
	}
	l.scrub.Rate = cfg.ScrubRate
	var err error
	if l.metrics, err = newMetrics(cfg.Registry, l); err != nil {
		return nil, err
	}
	return l, nil
}

// Run converges until ctx ends. It fails only when the store can not go on.
func (l *Loop) Run(ctx context.Context) error {
	for {
		changed := l.cfg.Catalog.Changed()
		if err := l.pass(ctx); err != nil {
			return err
		}
		l.passes.Add(1)
		// Looking at millions of chunks takes its time: at most a twentieth of it all.
		rest := max(l.cfg.Settle, 20*l.looked)
		if !l.wait(ctx, changed, rest) {
			return nil
		}
	}
}

// wait returns after Interval, or a while after something changed; false when ctx ends.
func (l *Loop) wait(ctx context.Context, changed <-chan struct{}, settle time.Duration) bool {
	timer := time.NewTimer(max(l.cfg.Interval, settle))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.wake:
	case <-changed:
	case <-ctx.Done():
		return false
	}
	timer.Reset(settle)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Corrupt notes a damaged chunk, to be healed soon. It does not block.
func (l *Loop) Corrupt(id vstack.ChunkID) {
	l.mu.Lock()
	_, known := l.corrupt[id]
	if !known && len(l.corrupt) < maxCorrupt {
		l.corrupt[id] = struct{}{}
	}
	l.mu.Unlock()
	if !known {
		l.cfg.Logger.Warn("chunk is damaged here and will be healed from a peer", "store", l.cfg.Disk.ID(), "chunk", id)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Lacking counts chunks that should be here: missing ones, and damaged ones.
func (l *Loop) Lacking() (missing, corrupt int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing.Load(), int64(len(l.corrupt))
}

// Behind lists the placement groups of which the store lacked chunks when it last
// compared itself with the catalog, and at which index that was.
func (l *Loop) Behind() (index uint64, groups []vstack.PG) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.surveyed, l.behind
}

// Passes counts the passes that ended.
func (l *Loop) Passes() int64 { return l.passes.Load() }

// pass brings the store closer to the catalog once.
func (l *Loop) pass(ctx context.Context) error {
	began := time.Now()
	p := l.survey()
	l.missing.Store(p.lacking)
	l.looked = time.Since(began)
	if !l.cfg.Complete() {
		return nil
	}
	// Bringing what lacks is no looking: its pace has bounds of its own, and what is found
	// damaged meanwhile must not wait for twenty times as long as the last repair took.
	if err := l.fetchAll(ctx, append(l.damaged(), p.missing...)); err != nil {
		return err
	}
	if ctx.Err() != nil || !l.cfg.Complete() {
		return nil
	}
	began = time.Now()
	err := l.dropUnnamed(ctx)
	l.looked += time.Since(began)
	return err
}

// damaged are the corrupt chunks with a slot to ask for; those that nothing names any
// more are forgotten, and dropped in time.
func (l *Loop) damaged() []want {
	l.mu.Lock()
	ids := make([]vstack.ChunkID, 0, len(l.corrupt))
	for id := range l.corrupt {
		ids = append(ids, id)
	}
	l.mu.Unlock()
	var out []want
	var voted map[vstack.ChunkID]vstack.Slot
	for _, id := range ids {
		slot, size, ok := l.cfg.Catalog.Slot(id)
		if !ok {
			if voted == nil {
				voted = l.cfg.Votes.Voted()
			}
			if slot, ok = voted[id]; ok {
				info, _ := l.cfg.Disk.Lookup(id) // false for one that is known bad
				size, ok = info.Size, info.Size > 0
			}
		}
		switch {
		case ok:
			out = append(out, want{slot, vstack.Value{Chunk: id, Size: size}})
		case l.cfg.Complete():
			l.healed(id)
		}
	}
	return out
}

func (l *Loop) healed(id vstack.ChunkID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.corrupt, id)
}

func (l *Loop) isCorrupt(id vstack.ChunkID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.corrupt[id]
	return ok
}

// fetchAll fetches what is wanted, a few at once. What no peer gives now is left to
// the next pass; a full disk ends this one.
func (l *Loop) fetchAll(ctx context.Context, wants []want) error {
	if len(wants) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan want)
	var wg sync.WaitGroup
	for range min(l.cfg.Workers, len(wants)) {
		wg.Go(func() {
			for w := range queue {
				if err := l.fetch(ctx, w); err != nil && !l.goOn(ctx, w, err) {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, w := range wants {
		select {
		case queue <- w:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	if err := context.Cause(ctx); errors.Is(err, vstack.ErrDiskFull) || err == nil {
		return nil
	} else if errors.Is(err, context.Canceled) || errors.Is(err, vstack.ErrClosed) {
		return nil
	} else {
		return err
	}
}

// goOn judges a chunk's failure: false when the others would fail the same way.
func (l *Loop) goOn(ctx context.Context, w want, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	l.metrics.failed.Inc()
	l.cfg.Logger.Warn("chunk could not be fetched yet", "store", l.cfg.Disk.ID(), "slot", w.slot, "chunk", w.value.Chunk, "error", err)
	var local *localError
	return !errors.As(err, &local)
}

// localError is a failure of this store rather than of a peer.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// fetch brings one chunk here.
func (l *Loop) fetch(ctx context.Context, w want) error {
	if err := l.yield(ctx); err != nil {
		return err
	}
	if err := l.cfg.Rate.spend(ctx, w.value.Size); err != nil {
		return err
	}
	heal := l.isCorrupt(w.value.Chunk)
	if _, here := l.cfg.Disk.Lookup(w.value.Chunk); here && !heal {
		return nil // a PUT was faster
	}
	fctx, cancel := context.WithTimeout(ctx, l.cfg.FetchTimeout)
	defer cancel()
	data, err := l.cfg.Fetch(fctx, w.slot, w.value)
	if err != nil {
		return fmt.Errorf("fetch chunk %s: %w", w.value.Chunk.Short(), err)
	}
	if len(data) != int(w.value.Size) || vstack.ChunkIDOf(data) != w.value.Chunk {
		return fmt.Errorf("fetch chunk %s: %w: %d bytes", w.value.Chunk.Short(), vstack.ErrHashMismatch, len(data))
	}
	_, err = l.cfg.Disk.Append(ctx, superblock.Record{Kind: superblock.KindChunk, Value: w.value, Data: data})
	if err != nil {
		return &localError{fmt.Errorf("keep chunk %s: %w", w.value.Chunk.Short(), err)}
	}
	l.metrics.bytes.Add(float64(len(data)))
	if heal {
		l.healed(w.value.Chunk)
		l.metrics.healed.Inc()
		l.cfg.Logger.Info("chunk healed from a peer", "store", l.cfg.Disk.ID(), "chunk", w.value.Chunk)
		return nil
	}
	l.missing.Add(-1)
	l.metrics.filled.Inc()
	return nil
}

// yield waits while the store's readers are worse off than they should be, but not for
// ever: on a store that is always busy copies would stay missing. A worker then brings
// one chunk every maxYields pauses.
func (l *Loop) yield(ctx context.Context) error {
	for range maxYields {
		if l.cfg.ReadP99() <= l.cfg.MaxReadP99 {
			break
		}
		l.metrics.yields.Inc()
		select {
		case <-time.After(yieldPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
