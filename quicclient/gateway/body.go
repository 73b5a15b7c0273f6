package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// step is how much is written at once, and how much of a body a slow viewer holds.
	step = 64 << 10
	// holdFor is how long a viewer without progress keeps its chunk from being forgotten.
	holdFor = 5 * time.Second
)

// run is a range of one chunk that a body is made of.
type run struct {
	slot           vstack.Slot
	ref            vstack.ChunkRef
	offset, length int
	// rewrite makes the bytes to send of the chunk's range; nil sends them as they are.
	// The result has the range's length.
	rewrite func([]byte) ([][]byte, error)
	// skip and take narrow what is sent of the (rewritten) range: all of it when take
	// is 0.
	skip, take int
}

// body writes runs to one viewer. It holds no chunk while the viewer takes nothing.
type body struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	chunks  *chunkStore
	timeout time.Duration
	metrics *metrics
	buf     [step]byte
	started bool
	// may is asked before each chunk, whether the viewer still may watch; nil for everybody.
	may func(context.Context) error
}

// errCut says that the viewer is gone or too slow.
var errCut = errors.New("viewer took no byte in time")

// send writes all runs. The first byte leaves once the first chunk is verified, and the
// next chunk is fetched meanwhile. After an error nothing more can be said: the caller
// resets the stream if anything was sent.
func (b *body) send(ctx context.Context, runs []run) error {
	stop := func() {}
	defer func() { stop() }()
	for i, r := range runs {
		next := func() {}
		if i+1 < len(runs) && runs[i+1].ref.ID != r.ref.ID {
			next = b.chunks.ahead(runs[i+1].slot, runs[i+1].ref)
		}
		var err error
		if b.may != nil {
			err = b.may(ctx)
		}
		if err == nil {
			err = b.sendRun(ctx, r)
		}
		stop()
		stop = next
		if err != nil {
			return err
		}
	}
	return nil
}

// sendRun writes one run in steps, each from a buffer of its own, so that the chunk can
// be forgotten while a viewer is slow.
func (b *body) sendRun(ctx context.Context, r run) error {
	if r.take == 0 {
		r.take = r.length - r.skip
	}
	var held atomic.Pointer[[][]byte]
	release := time.AfterFunc(holdFor, func() { held.Store(nil) })
	defer release.Stop()
	for sent := 0; sent < r.take; {
		parts := held.Load()
		if parts == nil {
			list, err := b.load(ctx, r)
			if err != nil {
				return err
			}
			parts = &list
			held.Store(parts)
		}
		n := copyAt(b.buf[:min(step, r.take-sent)], *parts, r.skip+sent)
		parts = nil
		release.Reset(holdFor)
		if err := b.write(b.buf[:n]); err != nil {
			return err
		}
		sent += n
	}
	return nil
}

// load returns the bytes of a run, as they are to be sent.
func (b *body) load(ctx context.Context, r run) ([][]byte, error) {
	data, err := b.chunks.get(ctx, r.slot, r.ref)
	if err != nil {
		return nil, err
	}
	if r.offset+r.length > len(data) {
		return nil, fmt.Errorf("slot %s: %w: bytes %d to %d of a chunk of %d", r.slot, vstack.ErrRangeInvalid, r.offset, r.offset+r.length, len(data))
	}
	data = data[r.offset : r.offset+r.length]
	if r.rewrite == nil {
		return [][]byte{data}, nil
	}
	return r.rewrite(data)
}

func (b *body) write(p []byte) error {
	if err := b.ctl.SetWriteDeadline(time.Now().Add(b.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	b.started = true
	n, err := b.w.Write(p)
	b.metrics.sent.Add(float64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.metrics.cut.Inc()
		return errCut
	}
	return err
}

// copyAt copies from the concatenation of parts at an offset.
func copyAt(dst []byte, parts [][]byte, at int) int {
	n := 0
	for _, p := range parts {
		if at >= len(p) {
			at -= len(p)
			continue
		}
		n += copy(dst[n:], p[at:])
		at = 0
		if n == len(dst) {
			break
		}
	}
	return n
}
