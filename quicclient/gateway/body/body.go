package body

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

// Run is a range of one chunk that a body is made of.
type Run struct {
	Slot           vstack.Slot
	Ref            vstack.ChunkRef
	Offset, Length int
	// Rewrite makes the bytes to send of the chunk's range; nil sends them as they are.
	// The result has the range's length.
	Rewrite func([]byte) ([][]byte, error)
	// Skip and Take narrow what is sent of the (rewritten) range: all of it when Take
	// is 0.
	Skip, Take int
}

// Body writes runs to one viewer. It holds no chunk while the viewer takes nothing.
type Body struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	chunks  *Store
	timeout time.Duration
	buf     [step]byte
	started bool
	may     func(context.Context) error
}

// ErrCut says that the viewer is gone or too slow.
var ErrCut = errors.New("viewer took no byte in time")

// To makes a body for a viewer, who may take no byte for as long as timeout. may is asked before
// each chunk whether the viewer still may watch; nil is for everybody.
func (s *Store) To(w http.ResponseWriter, timeout time.Duration, may func(context.Context) error) *Body {
	return &Body{w: w, ctl: http.NewResponseController(w), chunks: s, timeout: timeout, may: may}
}

// Started says that something was sent, or tried.
func (b *Body) Started() bool { return b.started }

// Release takes the write deadline away: the connection serves others after this body.
func (b *Body) Release() { _ = b.ctl.SetWriteDeadline(time.Time{}) }

// Send writes head, then all runs. The first byte of theirs leaves once the first chunk is
// verified, and the next chunk is fetched meanwhile. After an error nothing more can be said: the
// caller resets the stream if anything was sent.
func (b *Body) Send(ctx context.Context, head []byte, runs []Run) error {
	for len(head) > 0 {
		n := min(len(head), step)
		if err := b.write(head[:n]); err != nil {
			return err
		}
		head = head[n:]
	}
	stop := func() {}
	defer func() { stop() }()
	for i, r := range runs {
		next := func() {}
		if i+1 < len(runs) && runs[i+1].Ref.ID != r.Ref.ID {
			next = b.chunks.ahead(runs[i+1].Slot, runs[i+1].Ref)
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
func (b *Body) sendRun(ctx context.Context, r Run) error {
	if r.Take == 0 {
		r.Take = r.Length - r.Skip
	}
	var held atomic.Pointer[[][]byte]
	release := time.AfterFunc(holdFor, func() { held.Store(nil) })
	defer release.Stop()
	for sent := 0; sent < r.Take; {
		parts := held.Load()
		if parts == nil {
			list, err := b.load(ctx, r)
			if err != nil {
				return err
			}
			parts = &list
			held.Store(parts)
		}
		n := copyAt(b.buf[:min(step, r.Take-sent)], *parts, r.Skip+sent)
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
func (b *Body) load(ctx context.Context, r Run) ([][]byte, error) {
	data, err := b.chunks.Get(ctx, r.Slot, r.Ref)
	if err != nil {
		return nil, err
	}
	if r.Offset+r.Length > len(data) {
		return nil, fmt.Errorf("slot %s: %w: bytes %d to %d of a chunk of %d", r.Slot, vstack.ErrRangeInvalid, r.Offset, r.Offset+r.Length, len(data))
	}
	data = data[r.Offset : r.Offset+r.Length]
	if r.Rewrite == nil {
		return [][]byte{data}, nil
	}
	return r.Rewrite(data)
}

func (b *Body) write(p []byte) error {
	if err := b.ctl.SetWriteDeadline(time.Now().Add(b.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	b.started = true
	n, err := b.w.Write(p)
	b.chunks.metrics.sent.Add(float64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.chunks.metrics.cut.Inc()
		return ErrCut
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
