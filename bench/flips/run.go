package flips

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Options say how many bytes to flip. Zero values take their defaults.
type Options struct {
	Flips int // default 10,000
	// Batch is how many are there at the same time. Default 100.
	Batch int
	Seed  uint64
	// Progress, when set, is told how far it is.
	Progress func(string)
}

// quietEvery is which batch goes to the regions that nothing reads.
const quietEvery = 20

// healTimeout bounds the healing of one batch.
const healTimeout = 2 * time.Minute

// Count is what became of the flips of one region.
type Count struct {
	Flips    int
	Read     int // reported by a read, before any scrub
	Scrubbed int // reported by the scrub
	Missed   int // not reported
}

// Result is what came out.
type Result struct {
	Flips    int
	Batches  int
	Regions  map[Region]*Count
	Reads    int // chunks read beside a flip
	Refused  int // of them, answered with a clean error
	Wrong    int // of them, answered with other bytes
	Missed   int // flips that went unreported where they may not
	Uncaused int // errors or findings although only quiet regions were flipped
	Gone     int // flips, not counted in Flips, whose file was compacted away before it was read
	Healed   int // chunks that were refused, and came right from the peers
	Stories  []string
}

// maxStories bounds what a result tells in words.
const maxStories = 20

// Run flips bytes in the store's files until enough were flipped. A flip that was missed
// is no error: see Result.
func Run(ctx context.Context, t *Target, opt Options) (*Result, error) {
	if opt.Flips == 0 {
		opt.Flips = 10_000
	}
	if opt.Batch == 0 {
		opt.Batch = 100
	}
	if opt.Flips < 0 || opt.Batch < 0 {
		return nil, fmt.Errorf("flips: %w: negative number", vstack.ErrInvalid)
	}
	if opt.Progress == nil {
		opt.Progress = func(string) {}
	}
	r := &Result{Regions: map[Region]*Count{}}
	rng := rand.New(rand.NewPCG(opt.Seed, 1))
	for r.Flips < opt.Flips {
		if err := r.batch(ctx, t, rng, min(opt.Batch, opt.Flips-r.Flips), r.Batches%quietEvery == quietEvery/2); err != nil {
			return r, fmt.Errorf("batch %d: %w", r.Batches+1, err)
		}
		r.Batches++
		if r.Batches%10 == 0 {
			opt.Progress(fmt.Sprintf("  %d flips: %d of %d reads refused, %d wrong, %d missed", r.Flips, r.Refused, r.Reads, r.Wrong, r.Missed))
		}
	}
	return r, r.readWhole(ctx, t)
}

// readWhole reads every chunk in one piece, at the end of it all.
func (r *Result) readWhole(ctx context.Context, t *Target) error {
	chunks, err := t.Inventory(ctx)
	if err != nil {
		return err
	}
	for id := range chunks {
		right, err := t.GetWhole(ctx, id)
		if err != nil {
			return fmt.Errorf("read chunk %s after all flips: %w", id, err)
		}
		r.Reads++
		if !right {
			r.Wrong++
			r.tell("chunk %s was served with other bytes after all flips", id)
		}
	}
	return nil
}

// batch flips n bytes of a store that is whole, watches, and has it whole again.
func (r *Result) batch(ctx context.Context, t *Target, rng *rand.Rand, n int, quiet bool) error {
	before, err := t.Inventory(ctx)
	if err != nil {
		return err
	}
	m, err := ReadMap(t.Dir, func(id vstack.ChunkID, lsn vstack.LSN) bool { return before[id] == lsn })
	if err != nil {
		return err
	}
	if _, err := t.Findings(); err != nil { // those of before are not of this batch
		return err
	}
	var all []*flipped
	defer func() {
		for _, d := range all {
			_ = d.restore() // told below, unless another error came first
		}
	}()
	for _, p := range m.Pick(rng, n, quiet) {
		d, err := flip(p, uint(rng.IntN(8)))
		if errors.Is(err, os.ErrNotExist) {
			continue // compacted away meanwhile
		}
		if err != nil {
			return err
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return fmt.Errorf("nothing to flip: %w", vstack.ErrNotFound)
	}
	bad, err := r.readAll(ctx, t, before)
	if err != nil {
		return err
	}
	byRead, err := t.Findings()
	if err != nil {
		return err
	}
	if err := t.Scrub(ctx); err != nil {
		return err
	}
	byScrub, err := t.Findings()
	if err != nil {
		return err
	}
	r.judge(all, byRead, byScrub)
	if quiet && (len(bad)+len(byRead)+len(byScrub) > 0) {
		r.Uncaused++
		r.tell("flips where nothing is read: %d reads refused, findings %v %v", len(bad), byRead, byScrub)
	}
	for _, d := range all {
		if err := d.restore(); err != nil {
			return err
		}
	}
	all = nil
	return r.heal(ctx, t, before, bad)
}

// readAll reads every chunk from the store itself.
func (r *Result) readAll(ctx context.Context, t *Target, chunks map[vstack.ChunkID]vstack.LSN) (refused []vstack.ChunkID, err error) {
	for id := range chunks {
		right, err := t.Get(ctx, id)
		r.Reads++
		switch {
		case err != nil && !Clean(err):
			return nil, err
		case err != nil:
			r.Refused++
			refused = append(refused, id)
		case !right:
			r.Wrong++
			r.tell("chunk %s was served with other bytes", id)
		}
	}
	return refused, nil
}

// judge compares the flips with what the store has reported.
func (r *Result) judge(all []*flipped, byRead, byScrub []Finding) {
	for _, d := range all {
		for _, f := range byRead {
			d.read = d.read || f.covers(d.Place)
		}
		for _, f := range byScrub {
			d.scrubbed = d.scrubbed || f.covers(d.Place)
		}
		if !d.read && !d.scrubbed && d.gone() {
			r.Gone++
			continue
		}
		c := r.Regions[d.Region]
		if c == nil {
			c = &Count{}
			r.Regions[d.Region] = c
		}
		c.Flips++
		r.Flips++
		switch {
		case d.read:
			c.Read++
		case d.scrubbed:
			c.Scrubbed++
		default:
			c.Missed++
			if d.Region.Harmless() == "" {
				r.Missed++
				r.tell("missed: %s, %02x became %02x", d.Place, d.was, d.now)
			}
		}
	}
}

// heal waits until the store holds all chunks again, and reads those that it refused.
func (r *Result) heal(ctx context.Context, t *Target, chunks map[vstack.ChunkID]vstack.LSN, refused []vstack.ChunkID) error {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	if err := t.Healed(ctx, len(chunks)); err != nil {
		return err
	}
	for _, id := range refused {
		right, err := t.Get(ctx, id)
		if err != nil || !right {
			return fmt.Errorf("chunk %s after healing: right %v, %w", id, right, err)
		}
		r.Healed++
	}
	return nil
}

func (r *Result) tell(format string, args ...any) {
	if len(r.Stories) < maxStories {
		r.Stories = append(r.Stories, fmt.Sprintf(format, args...))
	}
}
