package httpclient

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// writer is a connection whose peer must take what is written within the stall timeout.
type writer struct {
	net.Conn
	stall time.Duration
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.Conn.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// body is an answer's body that ends when no byte of it came for the stall timeout. The
// clock stands while nobody reads.
type body struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  time.Duration
	clock  *time.Timer
}

func newBody(ctx context.Context, cancel context.CancelCauseFunc, r io.ReadCloser, stall time.Duration) *body {
	b := &body{ReadCloser: r, ctx: ctx, cancel: cancel, stall: stall}
	b.clock = time.AfterFunc(stall, func() {
		cancel(fmt.Errorf("%w: no byte of the answer for %v", vstack.ErrTimeout, stall))
	})
	b.clock.Stop()
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.clock.Reset(b.stall)
	n, err := b.ReadCloser.Read(p)
	b.clock.Stop()
	if cause := context.Cause(b.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

func (b *body) Close() error {
	b.clock.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
