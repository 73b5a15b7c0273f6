package converge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
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
	// maxWait is the longest time between two passes while pieces wait to go.
	maxWait = 5 * time.Second
	// inventoryPage is how many chunks are looked at between two looks at the context.
	inventoryPage = 4096
)

// Loop converges one store.
type Loop struct {
	cfg     Config
	metrics *metrics
	wake    chan struct{}
	scrubs  chan int64 // requests for a scrub, with its rate
	// compacts asks for a look at what compaction could free.
	compacts chan struct{}

	looked  time.Duration // what the last pass took without its fetches; of Run alone
	missing atomic.Int64
	passes  atomic.Int64
	waiting atomic.Int64 // pieces that are not wanted here and must not go yet

	mu      sync.Mutex // guards all below
	corrupt map[vstack.ChunkID]struct{}
	scrub   scrubState
	claims  []wire.GroupClaim // of the last survey; replaced, never changed

	free map[held]time.Time // since when pieces may go; of Run alone
}

// New makes a Loop; Run does the work.
func New(cfg Config) (*Loop, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Loop{
		cfg: cfg, wake: make(chan struct{}, 1), scrubs: make(chan int64, 1), compacts: make(chan struct{}, 1),
		corrupt: map[vstack.ChunkID]struct{}{}, free: map[held]time.Time{},
	}
	l.scrub.ScrubStatus, l.scrub.Rate = cfg.LastScrub, cfg.ScrubRate
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

// wait returns after Interval, or a while after something changed; false when ctx ends. While
// pieces wait for what other stores say, or for the end of their grace, it is not so long: of
// these nobody is told.
func (l *Loop) wait(ctx context.Context, changed <-chan struct{}, settle time.Duration) bool {
	interval := l.cfg.Interval
	if l.waiting.Load() > 0 || len(l.free) > 0 {
		interval = min(interval, maxWait)
	}
	timer := time.NewTimer(max(interval, settle))
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
		l.rouse()
	}
}

// CorruptPiece is Corrupt for a piece. The disk itself remembers which fragments are bad,
// and the next survey lacks them.
func (l *Loop) CorruptPiece(id vstack.ChunkID, p vstack.Piece) {
	if p.IsChunk() {
		l.Corrupt(id)
		return
	}
	l.cfg.Logger.Warn("fragment is damaged here and will be made anew", "store", l.cfg.Disk.ID(), "chunk", id, "fragment", p)
	l.rouse()
}

// rouse has the loop look soon.
func (l *Loop) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Lacking counts chunks that should be here: missing ones, and damaged ones.
func (l *Loop) Lacking() (missing, corrupt int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing.Load(), int64(len(l.corrupt))
}

// Waiting counts pieces that no reference wants here and that must not go yet: a target of
// their group lacks something, or is not heard.
func (l *Loop) Waiting() int64 { return l.waiting.Load() }

// Passes counts the passes that ended.
func (l *Loop) Passes() int64 { return l.passes.Load() }

// pass brings the store closer to the catalog once.
func (l *Loop) pass(ctx context.Context) error {
	began := time.Now()
	p, err := l.step(ctx)
	l.looked = time.Since(began)
	if err != nil || ctx.Err() != nil || !l.cfg.Complete() {
		return err
	}
	wants := append(l.damaged(p), p.missing...)
	inOrder(wants)
	wants = wants[:min(len(wants), maxWanted)]
	if p.answer.Paused {
		wants = slices.DeleteFunc(wants, (*want).moves)
	}
	if len(wants) == 0 {
		return nil
	}
	// Bringing what lacks is no looking: its pace has bounds of its own, and what is found
	// damaged meanwhile must not wait for twenty times as long as the last repair took.
	if err := l.fetchAll(ctx, wants); err != nil || ctx.Err() != nil {
		return err
	}
	began = time.Now()
	_, err = l.step(ctx)
	l.looked += time.Since(began)
	return err
}

// damaged are the corrupt chunks that should be here, with a slot to ask for; others are
// forgotten, and dropped in time.
func (l *Loop) damaged(p plan) []*want {
	l.mu.Lock()
	ids := maps.Clone(l.corrupt)
	l.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	places := l.cfg.Catalog.Slots(ids)
	var out []*want
	var voted map[vstack.ChunkID]vstack.Slot
	for id := range ids {
		place, ok := places[id]
		ok = ok && p.Wanted(id, vstack.Piece{})
		if !ok {
			if voted == nil {
				voted = l.cfg.Votes.Voted()
			}
			if place.Slot, ok = voted[id]; ok {
				info, _ := l.cfg.Disk.LookupPiece(id, vstack.Piece{}) // false for one that is known bad
				place.Size, ok = info.Size, info.Size > 0
			}
		}
		switch {
		case ok:
			w := &want{slot: place.Slot, value: vstack.Value{Chunk: id, Size: place.Size}, lacks: permit.Desire{Chunk: true}, class: place.Class, rot: true}
			if place.Class.Fragments() {
				w.scheme = place.Scheme
			}
			w.judge(p.answer, place.ClassIndex)
			out = append(out, w)
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
