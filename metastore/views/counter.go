package views

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

const (
	// MaxVideos bounds the videos that are counted between two flushes, and so of one batch.
	MaxVideos = 10000
	// maxRequests is how many request ids a member remembers.
	maxRequests = 16384
)

// Counter counts on one member.
type Counter struct {
	mu     sync.Mutex
	counts map[vstack.VideoID]int64
	// counted are the last requests that were taken, recent their order: a client whose
	// answer was lost asks the same member again.
	counted map[string]bool
	recent  []string
	oldest  int

	flushMu sync.Mutex // one flush at a time
	// pending is the batch that was not confirmed yet. It is sent again under its number
	// and request id until it is, so that it counts once.
	pending   wire.ViewsBatch
	requestID string
	last      wire.ViewsSource // of the batches so far
}

// New makes a counter.
func New() *Counter {
	return &Counter{counts: map[vstack.VideoID]int64{}, counted: map[string]bool{}, last: wire.ViewsSource{Run: uuid.New()}}
}

// Add counts n views of a video, once under one request id; an empty id is always counted.
func (v *Counter) Add(id vstack.VideoID, n int64, request string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.counted[request] {
		return nil
	}
	if _, ok := v.counts[id]; !ok && len(v.counts) >= MaxVideos {
		return fmt.Errorf("count views: %w: %d videos wait to be committed", vstack.ErrUnavailable, len(v.counts))
	}
	v.counts[id] = min(v.counts[id]+n, command.MaxViews)
	if request != "" {
		v.remember(request)
	}
	return nil
}

// remember keeps a request id in the place of the oldest.
func (v *Counter) remember(request string) {
	v.counted[request] = true
	if len(v.recent) < maxRequests {
		v.recent = append(v.recent, request)
		return
	}
	delete(v.counted, v.recent[v.oldest])
	v.recent[v.oldest] = request
	v.oldest = (v.oldest + 1) % maxRequests
}

// batch is the pending batch, or a new one of all that was counted, in a level's form.
func (v *Counter) batch(level vstack.Level) (wire.ViewsBatch, string) {
	if v.pending.Views != nil {
		return v.pending, v.requestID
	}
	v.mu.Lock()
	counts := v.counts
	v.counts = map[vstack.VideoID]int64{}
	v.mu.Unlock()
	for id, n := range counts {
		v.pending.Views = append(v.pending.Views, wire.VideoViews{Video: id, Count: n})
	}
	slices.SortFunc(v.pending.Views, func(a, b wire.VideoViews) int { return bytes.Compare(a.Video[:], b.Video[:]) })
	v.requestID = uuid.NewString()
	if level >= vstack.LevelFormats && v.pending.Views != nil {
		v.last.Seq++
		v.pending.Source = v.last
	}
	return v.pending, v.requestID
}

// Flush has send commit what was counted, under a request id of its own. What fails is kept,
// and sent again as it was.
func (v *Counter) Flush(level vstack.Level, send func(batch wire.ViewsBatch, requestID string) error) error {
	v.flushMu.Lock()
	defer v.flushMu.Unlock()
	batch, id := v.batch(level)
	if len(batch.Views) == 0 {
		return nil
	}
	if err := send(batch, id); err != nil {
		return fmt.Errorf("views of %d videos wait: %w", len(batch.Views), err)
	}
	v.pending = wire.ViewsBatch{}
	return nil
}

// Unconfirmed is how many videos are in the batch that was sent and not confirmed yet.
func (v *Counter) Unconfirmed() int {
	v.flushMu.Lock()
	defer v.flushMu.Unlock()
	return len(v.pending.Views)
}
