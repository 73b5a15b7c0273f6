package rebuild

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// Rebuilder rebuilds for one store. Its methods may be called concurrently.
type Rebuilder struct {
	cfg     Config
	metrics *metrics

	mu     sync.Mutex // guards flying
	flying map[vstack.ChunkID]*flight
}

// flight is one making of a chunk for all who want it at the time; data and err are set
// before landed is closed.
type flight struct {
	landed chan struct{}
	data   []byte
	err    error
}

// New makes a Rebuilder.
func New(cfg Config) (*Rebuilder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry, cfg.Disk.ID())
	if err != nil {
		return nil, err
	}
	return &Rebuilder{cfg: cfg, metrics: m, flying: map[vstack.ChunkID]*flight{}}, nil
}

// Scheme is the one of which fragments of a chunk are here, and the chunk's size; false
// where none is that is not known to be bad.
func (r *Rebuilder) Scheme(id vstack.ChunkID) (s vstack.Scheme, size uint32, ok bool) {
	for _, info := range r.cfg.Disk.Pieces(id) {
		if !info.Piece.IsChunk() && (!ok || !info.Bad) {
			s, size, ok = info.Piece.Scheme, info.Size, true
		}
	}
	return s, size, ok
}

// Chunk is a whole chunk in a scheme, made of fragments here and at peers, and right. The
// bytes are shared: nobody may change them.
//
// Errors: ErrNotFound (nothing living names the chunk), ErrUnavailable (too few fragments
// were found, or no memory in time), ErrHashMismatch (no k of them make the chunk),
// ErrTimeout, ErrCanceled.
func (r *Rebuilder) Chunk(ctx context.Context, v vstack.Value, s vstack.Scheme) ([]byte, error) {
	if b, ok := r.cfg.Shared.cache.GetIfPresent(v.Chunk); ok && len(b) == int(v.Size) {
		r.metrics.cached.Inc()
		return b, nil
	}
	r.mu.Lock()
	f := r.flying[v.Chunk]
	lead := f == nil
	if lead {
		f = &flight{landed: make(chan struct{})}
		r.flying[v.Chunk] = f
	}
	r.mu.Unlock()
	if lead {
		r.fly(ctx, v, s, f)
		return f.data, f.err
	}
	select {
	case <-f.landed:
		return f.data, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("chunk %s: %w", v.Chunk.Short(), vstack.ErrCanceled)
	}
}

// fly makes a chunk for all who want it. Others rely on it, so the first one's context may
// not cut it short.
func (r *Rebuilder) fly(ctx context.Context, v vstack.Value, s vstack.Scheme, f *flight) {
	defer func() {
		r.mu.Lock()
		delete(r.flying, v.Chunk)
		r.mu.Unlock()
		close(f.landed)
	}()
	f.err = fmt.Errorf("chunk %s: %w: the decoding did not end", v.Chunk.Short(), vstack.ErrInternal)
	f.data, f.err = r.decode(context.WithoutCancel(ctx), v, s, nil)
	if f.err == nil {
		r.cfg.Shared.cache.Set(v.Chunk, f.data)
	}
}

// decode gathers and joins; without names a fragment here that is not to be used.
func (r *Rebuilder) decode(ctx context.Context, v vstack.Value, s vstack.Scheme, without *vstack.Piece) ([]byte, error) {
	codec, err := r.cfg.Shared.codec(s)
	if err != nil {
		return nil, err
	}
	if v.Size == 0 || v.Size > vstack.MaxChunkSize {
		return nil, fmt.Errorf("chunk %s of %d bytes: %w", v.Chunk.Short(), v.Size, vstack.ErrInvalid)
	}
	home, ok := r.cfg.Locate(v.Chunk)
	if !ok {
		return nil, fmt.Errorf("chunk %s: %w: nothing that lives names it", v.Chunk.Short(), vstack.ErrNotFound)
	}
	turn, done := context.WithTimeout(ctx, r.cfg.QueueTimeout)
	release, err := r.cfg.Shared.reserve(turn, memoryOf(v.Size, s))
	done()
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Timeout, vstack.ErrTimeout)
	defer cancel()
	defer r.metrics.time()()
	g := r.newGathering(ctx, v, s, home, without)
	if g.until(ctx, int(s.K)); g.count < int(s.K) {
		r.metrics.failed.Inc()
		return nil, g.failed()
	}
	chunk, err := codec.Decode(v, g.have)
	if errors.Is(err, vstack.ErrHashMismatch) {
		chunk, err = r.mend(ctx, codec, g)
	}
	if err != nil {
		r.metrics.failed.Inc()
		return nil, errors.Join(append([]error{err}, g.errs...)...)
	}
	r.metrics.decoded.Inc()
	return chunk, nil
}
