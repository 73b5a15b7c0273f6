package serve

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// flights lets readers who want the same whole chunk at the same time share one read
// of it, as the viewers of a new video do.
type flights struct {
	mu     sync.Mutex // guards the map and every flight's refs
	flying map[vstack.ChunkID]*flight
}

// flight is one read; body, waited and err are set before landed is closed.
type flight struct {
	landed chan struct{}
	refs   int // readers who still use body
	body   *shared
	waited time.Duration
	err    error
}

func newFlights() *flights { return &flights{flying: map[vstack.ChunkID]*flight{}} }

// join returns the flight that reads a chunk, and whether the caller has to read.
func (f *flights) join(id vstack.ChunkID) (fl *flight, lead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl = f.flying[id]
	if fl == nil {
		fl = &flight{landed: make(chan struct{})}
		f.flying[id] = fl
		lead = true
	}
	fl.refs++
	return fl, lead
}

// land publishes the outcome of a read.
func (f *flights) land(id vstack.ChunkID, fl *flight) {
	f.mu.Lock()
	delete(f.flying, id)
	f.mu.Unlock()
	close(fl.landed)
}

// leave gives up a reader's share of the buffer.
func (f *flights) leave(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.refs--; fl.refs == 0 && fl.body != nil {
		fl.body.leave()
	}
}

// fly reads for all who joined. It lands also when the read panics, which net/http
// survives: everybody who wants the chunk would wait for it for ever.
func (r *Reader) fly(ctx context.Context, id vstack.ChunkID, fl *flight, whole span) {
	defer r.flights.land(id, fl)
	fl.err = fmt.Errorf("read chunk %s: %w: the read did not end", id.Short(), vstack.ErrInternal)
	// Others rely on it, so the leader's client may not cut it short.
	var buf *Buffer
	if buf, fl.waited, fl.err = r.read(context.WithoutCancel(ctx), id, vstack.Piece{}, whole); fl.err == nil {
		fl.body = share(buf)
		r.cfg.Cache.offer(id, fl.body)
	}
}

// readShared is read for a whole chunk; leave gives the bytes back.
func (r *Reader) readShared(ctx context.Context, id vstack.ChunkID, whole span) (body []byte, leave func(), waited time.Duration, err error) {
	fl, lead := r.flights.join(id)
	if lead {
		r.fly(ctx, id, fl, whole)
	} else {
		select {
		case <-fl.landed:
		case <-ctx.Done():
			r.flights.leave(fl)
			return nil, nil, 0, fmt.Errorf("read chunk %s: %w", id.Short(), vstack.ErrCanceled)
		}
	}
	if fl.err != nil {
		r.flights.leave(fl)
		return nil, nil, 0, fl.err
	}
	return fl.body.buf.Bytes, func() { r.flights.leave(fl) }, fl.waited, nil
}
