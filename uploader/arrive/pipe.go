package arrive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// pipeSize is what a pipe holds where the system grants it, in bytes: the fewer times two
// processes wake each other, the better.
const pipeSize = 1 << 20

// Pipe passes a file that arrives on to a child process.
type Pipe struct{ r, w *os.File }

// NewPipe makes a pipe.
func NewPipe() (*Pipe, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	enlarge(w)
	return &Pipe{r: r, w: w}, nil
}

// End is the child's end, which is closed here once the child has its own.
func (p *Pipe) End() *os.File { return p.r }

// Close gives both ends up. Idempotent.
func (p *Pipe) Close() {
	p.r.Close()
	p.w.Close()
}

// Pass has everything pass that arrives, until the file or the child has ended. A child that
// reads no further is no error.
func (p *Pipe) Pass(ctx context.Context, f *File) error {
	p.r.Close()
	defer p.w.Close()
	_, err := io.CopyBuffer(struct{ io.Writer }{p.w}, f.Reader(ctx), make([]byte, pipeSize/4))
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}
