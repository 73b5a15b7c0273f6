package arrive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/source"
)

// ErrShrunk ends the readers of a file of which something was taken back.
var ErrShrunk = errors.New("bytes that had arrived were taken back")

// File is a file that arrives. It stays readable when it is renamed.
type File struct {
	f *source.File

	mu      sync.Mutex
	size    int64         // bytes that are there
	ended   bool          // no more will come
	err     error         // no more will be read
	changed chan struct{} // closed and replaced at each change
	waiting int           // readers at the end of what is there
}

// Open opens a file of which nothing is known to have arrived yet.
func Open(v source.Vault, path string) (*File, error) {
	f, err := v.Begun(path)
	if err != nil {
		return nil, fmt.Errorf("open what arrives: %w", err)
	}
	return &File{f: f, changed: make(chan struct{})}, nil
}

// OpenWhole opens a file of which all has arrived.
func OpenWhole(v source.Vault, path string) (*File, error) {
	whole, err := v.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open what has arrived: %w", err)
	}
	f := &File{f: whole, changed: make(chan struct{})}
	f.Grow(whole.Size())
	f.End()
	return f, nil
}

// Close ends every reader. Idempotent.
func (f *File) Close() {
	f.change(func() { f.fail(fmt.Errorf("read what arrives: %w", vstack.ErrClosed)) })
	_ = f.f.Close() // it was read only
}

func (f *File) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *File) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Grow says how many bytes are there.
func (f *File) Grow(size int64) {
	f.change(func() {
		if size < f.size {
			f.fail(fmt.Errorf("%w: %d of %d are left", ErrShrunk, size, f.size))
		}
		f.size = max(f.size, size)
	})
}

// End says that all of the file is there.
func (f *File) End() { f.change(func() { f.ended = true }) }

// Waiting says that a reader waits for bytes.
func (f *File) Waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting > 0
}

// Reader reads the file from its start; ctx ends a wait.
func (f *File) Reader(ctx context.Context) io.Reader { return &reader{f: f, ctx: ctx} }

type reader struct {
	f   *File
	ctx context.Context
	at  int64
}

// Read returns io.EOF once the file has ended.
func (r *reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	there, err := r.f.await(r.ctx, r.at)
	if err != nil {
		return 0, err
	}
	n, err := r.f.f.There(b[:min(int64(len(b)), there-r.at)], r.at)
	r.at += int64(n)
	switch {
	case n > 0:
		err = nil
	case errors.Is(err, io.EOF): // taken back, and not said yet; it is no end of the file
		err = fmt.Errorf("%w: byte %d of %d is not there", ErrShrunk, r.at, there)
	}
	return n, err
}

// await returns how many bytes are there, once there are more than at.
func (f *File) await(ctx context.Context, at int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
	defer func() { f.waiting-- }()
	for {
		switch {
		case f.err != nil:
			return 0, f.err
		case f.size > at:
			return f.size, nil
		case f.ended:
			return 0, io.EOF
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			return 0, fmt.Errorf("read what arrives: %w", context.Cause(ctx))
		}
	}
}
