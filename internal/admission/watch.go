package admission

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// yieldOver and yieldWithin are how long what was lent may stand still while others wait,
	// where its key has more than its share, and where it has not.
	yieldOver   = time.Second
	yieldWithin = 5 * time.Second
	// lookEvery is how often that is looked at.
	lookEvery = 250 * time.Millisecond
)

// Watch ends what holds something of a budget and stands still: at once enough where others
// wait for it, and after Patience in any case.
type Watch struct {
	budget *Budget
	key    Key
	end    func()
	moved  atomic.Int64 // nanoseconds after began
	began  time.Time

	mu      sync.Mutex // guards what is below
	timer   *time.Timer
	stopped bool
	ending  chan struct{} // nil until end is called, closed when it has returned
}

// Watch begins to watch over what a key was lent. end is called at most once, in a goroutine
// of its own, and must not wait for whoever calls Stop.
func (b *Budget) Watch(key Key, end func()) *Watch {
	w := &Watch{budget: b, key: key, end: end, began: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(yieldOver, w.look)
	return w
}

// Moved says that there was progress just now.
func (w *Watch) Moved() { w.moved.Store(int64(time.Since(w.began))) }

// Stop ends the watching: end has returned, or is not called any more. What it would end may
// then be used for something else, as a connection is for the next request.
func (w *Watch) Stop() {
	w.mu.Lock()
	w.stopped = true
	w.timer.Stop()
	ending := w.ending
	w.mu.Unlock()
	if ending != nil {
		<-ending
	}
}

func (w *Watch) look() {
	if w.due() {
		w.end()
		close(w.ending)
	}
}

// due reports whether end is to be called now; if not, it is looked at again later.
func (w *Watch) due() bool {
	still := time.Since(w.began) - time.Duration(w.moved.Load())
	bound := Patience
	if waited, over := w.budget.pressed(w.key); waited && over {
		bound = yieldOver
	} else if waited {
		bound = yieldWithin
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
		return false
	case still < bound:
		w.timer.Reset(max(lookEvery, yieldOver-still))
		return false
	}
	w.stopped = true
	w.ending = make(chan struct{})
	return true
}

// pressed reports whether other keys wait, and whether a key has more than its share.
func (b *Budget) pressed(key Key) (waited, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.turn {
		waited = waited || c.key != key
	}
	c := b.keys[key]
	return waited, c != nil && c.used > b.share
}
