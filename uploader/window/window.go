package window

import (
	"context"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// Window bounds the bytes of chunks on their way, over all jobs. While several jobs want
// it, the one that holds least is served first. One alone may hold all but an eighth,
// which is kept for the next: a job whose stores are away must not stop the others.
type Window struct {
	size int64

	mu      sync.Mutex
	free    int64
	held    map[vstack.UploadID]int64
	waiting []*place // in the order of their coming
}

// place is one that waits for n bytes.
type place struct {
	job   vstack.UploadID
	n     int64
	ready chan struct{} // closed when it has them
}

// New makes a window of size bytes.
func New(size int64) *Window {
	return &Window{size: size, free: size, held: map[vstack.UploadID]int64{}}
}

// Acquire waits for n bytes, or for ctx. More than the whole window is the whole window;
// what was taken is returned, for release.
func (w *Window) Acquire(ctx context.Context, job vstack.UploadID, n int64) (int64, error) {
	p := &place{job: job, n: min(n, w.size), ready: make(chan struct{})}
	w.mu.Lock()
	w.waiting = append(w.waiting, p)
	w.serve()
	w.mu.Unlock()
	select {
	case <-p.ready:
		return p.n, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-p.ready: // just now
		w.give(job, p.n)
	default:
		for i, q := range w.waiting {
			if q == p {
				w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
				break
			}
		}
	}
	w.serve()
	return 0, context.Cause(ctx)
}

// Release gives bytes back that Acquire took.
func (w *Window) Release(job vstack.UploadID, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.give(job, n)
	w.serve()
}

func (w *Window) give(job vstack.UploadID, n int64) {
	w.free += n
	if w.held[job] -= n; w.held[job] == 0 {
		delete(w.held, job)
	}
}

// serve gives places their bytes, the job that holds least first. Nobody is overtaken by
// a smaller chunk: where the next does not fit, all wait.
func (w *Window) serve() {
	for {
		at := -1
		for i, p := range w.waiting {
			held := w.held[p.job]
			if held > 0 && held+p.n > w.size-w.size/8 {
				continue // the rest is for another job
			}
			if at < 0 || held < w.held[w.waiting[at].job] {
				at = i
			}
		}
		if at < 0 || w.waiting[at].n > w.free {
			return
		}
		p := w.waiting[at]
		w.waiting = append(w.waiting[:at], w.waiting[at+1:]...)
		w.free -= p.n
		w.held[p.job] += p.n
		close(p.ready)
	}
}
