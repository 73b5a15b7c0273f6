package early

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/arrive"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/source"
)

// Causes with which a cut ends before its file has.
var (
	ErrDropped = errors.New("the file is not taken")
	ErrYielded = errors.New("another file wants the place")
)

// fairFor is how long a cut keeps its place, whoever waits.
const fairFor = time.Minute

// Config is what Cuts work with. J is the work on one file.
type Config[J any] struct {
	// Places is how many cuts run at once, and Least how many bytes are awaited before one
	// begins.
	Places int
	Least  int64
	// Vault opens files.
	Vault source.Vault
	// Run cuts. It calls Own before it leaves anything behind.
	Run func(ctx context.Context, c *Cut[J]) (vstack.Manifest, error)
}

// Cuts are the cuts of files that arrive, by the names of their parts.
type Cuts[J any] struct {
	cfg    Config[J]
	ctx    context.Context // ends them all
	places chan struct{}
	wg     sync.WaitGroup

	mu     sync.Mutex
	cuts   map[string]*Cut[J]
	closed bool
}

// New makes an empty set that ends with ctx.
func New[J any](ctx context.Context, cfg Config[J]) *Cuts[J] {
	return &Cuts[J]{cfg: cfg, ctx: ctx, places: make(chan struct{}, cfg.Places), cuts: map[string]*Cut[J]{}}
}

// Wait returns once no cut runs, and lets none begin; the context has ended.
func (s *Cuts[J]) Wait() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wg.Wait()
}

// Grew says that a part, which lies at path, has size bytes. It never waits.
func (s *Cuts[J]) Grew(id, path string, size int64, o order.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cuts[id]
	if c == nil && size >= s.cfg.Least && s.ctx.Err() == nil && !s.closed {
		c = s.begin(id, path, o)
	}
	if c != nil {
		c.file.Grow(size)
	}
}

// begin starts a cut where a place is free; s.mu is held.
func (s *Cuts[J]) begin(id, path string, o order.Order) *Cut[J] {
	select {
	case s.places <- struct{}{}:
	default:
		s.ask()
		return nil
	}
	file, err := arrive.Open(s.cfg.Vault, path)
	if err != nil {
		<-s.places
		return nil
	}
	c := &Cut[J]{ID: id, Path: path, Order: o, file: file, began: time.Now(), whole: make(chan struct{}), owned: make(chan struct{}), done: make(chan struct{})}
	var ctx context.Context
	ctx, c.cancel = context.WithCancelCause(s.ctx)
	s.cuts[id] = c
	s.wg.Go(func() {
		defer func() { <-s.places }()
		defer close(c.done)
		defer c.cancel(nil)
		defer file.Close()
		c.made, c.err = s.cfg.Run(ctx, c)
	})
	return c
}

// ask has the oldest cut that had its time give its place up; s.mu is held.
func (s *Cuts[J]) ask() {
	var oldest *Cut[J]
	for _, c := range s.cuts {
		select {
		case <-c.done:
			continue
		default:
		}
		if time.Since(c.began) > fairFor && (oldest == nil || c.began.Before(oldest.began)) {
			oldest = c
		}
	}
	if oldest != nil {
		oldest.cancel(ErrYielded)
	}
}

// Ended says that all of a part is there, size bytes.
func (s *Cuts[J]) Ended(id string, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cuts[id]; c != nil {
		c.file.Grow(size)
		c.file.End()
	}
}

// Owned is Cut.Owned of the part's cut; zero where there is none.
func (s *Cuts[J]) Owned(ctx context.Context, id string) (j J) {
	s.mu.Lock()
	c := s.cuts[id]
	s.mu.Unlock()
	if c != nil {
		j, _ = c.Owned(ctx)
	}
	return j
}

// Job is what the part's cut leaves behind so far; false where that is nothing yet.
func (s *Cuts[J]) Job(id string) (j J, ok bool) {
	s.mu.Lock()
	c := s.cuts[id]
	s.mu.Unlock()
	if c == nil {
		return j, false
	}
	return c.Job()
}

// Take gives the cut of a part to who finishes or drops it; nil where there is none.
func (s *Cuts[J]) Take(id string) *Cut[J] {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cuts[id]
	delete(s.cuts, id)
	return c
}

// Cut is one cut.
type Cut[J any] struct {
	ID    string // of the part
	Path  string // where it lies while it arrives
	Order order.Order

	file   *arrive.File
	began  time.Time
	cancel context.CancelCauseFunc
	whole  chan struct{} // closed by Finish
	source string        // set before whole is closed
	plan   ffmpeg.Plan
	done   chan struct{}
	made   vstack.Manifest // set before done is closed
	err    error

	owned chan struct{} // closed by Own
	job   J             // set before owned is closed
}

// Own says what the cut leaves behind from now on. Called once.
func (c *Cut[J]) Own(j J) {
	c.job = j
	close(c.owned)
}

// Job is what the cut leaves behind; false where that is nothing yet.
func (c *Cut[J]) Job() (j J, ok bool) {
	select {
	case <-c.owned:
		return c.job, true
	default:
		return j, false
	}
}

// Owned waits until the cut has said what it leaves behind, or has ended.
func (c *Cut[J]) Owned(ctx context.Context) (J, bool) {
	select {
	case <-c.owned:
	case <-c.done:
	case <-ctx.Done():
	}
	return c.Job()
}

// Opened is the file.
func (c *Cut[J]) Opened() *arrive.File { return c.file }

// Whole waits for Finish.
func (c *Cut[J]) Whole(ctx context.Context) (string, ffmpeg.Plan, error) {
	select {
	case <-c.whole:
		return c.source, c.plan, nil
	case <-ctx.Done():
		return "", ffmpeg.Plan{}, context.Cause(ctx)
	}
}

// Finish says where the whole file lies and how all of it is to be cut, and returns what was
// made of it. It is called once; ctx ends the cut.
func (c *Cut[J]) Finish(ctx context.Context, source string, plan ffmpeg.Plan) (vstack.Manifest, error) {
	c.source, c.plan = source, plan
	close(c.whole)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.End(context.Cause(ctx))
	}
	return c.made, c.err
}

// End ends the cut and waits until nothing of it runs.
func (c *Cut[J]) End(cause error) {
	c.cancel(cause)
	<-c.done
}
