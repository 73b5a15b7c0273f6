package replace

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// width is how many writers commit at once, one chunk after another each.
	width = 4
	// chunkSize is small: what is measured is the wait for votes.
	chunkSize = 4 << 10
	// pace is the pause between two commits of a writer: a load that leaves the machine
	// room, so that what a commit waits for is not the processor.
	pace = 40 * time.Millisecond
	// slotsPerUpload and keptOpen bound the votes that an epoch change carries over: a
	// writer has up to keptOpen full uploads beside the one that it fills.
	slotsPerUpload = 500
	keptOpen       = 2
	// maxRefused ends a run: so many failed commits are no accident.
	maxRefused = 100
	// judgeWait bounds how long a round waits for the commits that overlap it.
	judgeWait = time.Minute
)

// commit is one acknowledged chunk.
type commit struct{ from, to time.Time }

// written is an upload with what was acknowledged in it, by slot number.
type written struct {
	vstack.Upload
	chunks []vstack.ChunkID
}

// writers fill uploads until they are stopped.
type writers struct {
	c    *cluster
	done chan *written // uploads to check; a writer waits while there are too many

	mu      sync.Mutex // guards all below
	recent  []commit   // since the last judgement, by their end
	running [width]time.Time
	acked   int
	refused int
	checked int
	wrong   []string
	full    [width][]*written // oldest first
	current [width]*written
}

func newWriters(c *cluster) *writers { return &writers{c: c, done: make(chan *written, width)} }

// start begins to write; the function that it returns stops and waits.
func (w *writers) start(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	over := make(chan struct{})
	var writing sync.WaitGroup
	for n := range width {
		writing.Add(1)
		g.Go(func() error {
			defer writing.Done()
			return w.write(gctx, n, over)
		})
	}
	g.Go(func() error { writing.Wait(); close(w.done); return nil })
	g.Go(func() error {
		for u := range w.done {
			if err := w.check(gctx, u); err != nil {
				return err
			}
		}
		return nil
	})
	return sync.OnceValue(func() error {
		defer cancel()
		close(over)
		return g.Wait()
	})
}

// write is one writer.
func (w *writers) write(ctx context.Context, n int, over <-chan struct{}) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := w.turn(ctx, n); err != nil {
			return err
		}
		if err := w.commit(ctx, n); err != nil {
			return err
		}
	}
}

// turn gives a writer a fresh upload when the last one is full, and has the oldest one
// checked beside the writing.
func (w *writers) turn(ctx context.Context, n int) error {
	cur := w.current[n]
	if cur != nil && len(cur.chunks) < slotsPerUpload {
		return nil
	}
	var oldest *written
	w.mu.Lock()
	if cur != nil {
		w.full[n] = append(w.full[n], cur)
	}
	if len(w.full[n]) > keptOpen {
		oldest, w.full[n] = w.full[n][0], w.full[n][1:]
	}
	w.mu.Unlock()
	if oldest != nil {
		select {
		case w.done <- oldest:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	up, err := w.c.meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: "replace-store", Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return fmt.Errorf("open upload: %w", err)
	}
	w.current[n] = &written{Upload: up}
	return nil
}

// commit commits the next chunk. One that fails is a violation: no store of the cluster
// is ever down. The slot is tried again, for its fate is unknown.
func (w *writers) commit(ctx context.Context, n int) error {
	cur := w.current[n]
	data := make([]byte, chunkSize)
	_, _ = rand.Read(data) // never fails: crypto/rand ends the program instead
	slot := cur.slot(len(cur.chunks))
	from := time.Now()
	w.mu.Lock()
	w.running[n] = from
	w.mu.Unlock()
	for {
		got, err := w.c.chunks.Commit(ctx, cur.Upload, slot, data)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.mu.Lock()
		if err == nil {
			to := time.Now()
			w.recent = append(w.recent, commit{from, to})
			w.acked++
			w.running[n] = time.Time{}
			w.mu.Unlock()
			cur.chunks = append(cur.chunks, got.Value.Chunk)
			return nil
		}
		w.refused++
		w.wrong = append(w.wrong, fmt.Sprintf("slot %s: %v", slot, err))
		failed := w.refused
		w.mu.Unlock()
		if failed > maxRefused {
			return fmt.Errorf("commit %s: %w", slot, err)
		}
	}
}

// slot is where the i-th chunk of an upload is.
func (u *written) slot(i int) vstack.Slot {
	return vstack.Slot{Video: u.Video, Track: 1, Seq: uint32(i + 1)}
}

// latencies are the commits that ended between two times.
func (w *writers) latencies(from, to time.Time) (out []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.recent {
		if c.to.After(from) && c.to.Before(to) {
			out = append(out, c.to.Sub(c.from))
		}
	}
	return out
}

// judge waits for the commits that began before to, and returns how long nobody was
// answered between the two times, and the longest commit that overlaps them.
func (w *writers) judge(ctx context.Context, from, to time.Time) (silence, stall time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, judgeWait)
	defer cancel()
	for w.under(to) {
		if err := rest(ctx, time.Millisecond); err != nil {
			return 0, 0, fmt.Errorf("commits do not end: %w", err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := from
	for _, c := range w.recent {
		if c.to.After(from) && c.from.Before(to) {
			stall = max(stall, c.to.Sub(c.from))
		}
		if c.to.After(from) && c.to.Before(to) {
			silence = max(silence, c.to.Sub(last))
			last = c.to
		}
	}
	silence = max(silence, to.Sub(last))
	// What ended by then cannot overlap the next round.
	w.recent = slices.DeleteFunc(w.recent, func(c commit) bool { return !c.to.After(to) })
	return silence, stall, nil
}

// under reports whether a commit that began before a time is still under way.
func (w *writers) under(before time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, began := range w.running {
		if !began.IsZero() && began.Before(before) {
			return true
		}
	}
	return false
}

// into adds what was counted to a result.
func (w *writers) into(res *Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	res.Commits, res.Refused, res.Checked, res.Violations = w.acked, w.refused, w.checked, w.wrong
}
