package rebuild

import (
	"context"
	"fmt"
	"sync"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
)

// memoryOf is what making a chunk of size bytes takes: all of its fragments may be needed,
// to find one that is rotten, and the chunk.
func memoryOf(size uint32, s vstack.Scheme) int64 {
	return int64(size) + int64(s.Total())*int64(s.FragmentSize(size))
}

// Shared is what the stores of a process share: memory for decoding, chunks that were
// decoded lately, and codecs.
type Shared struct {
	budget *semaphore.Weighted
	total  int64
	cache  *otter.Cache[vstack.ChunkID, []byte]

	mu     sync.Mutex // guards codecs
	codecs map[vstack.Scheme]*erasure.Codec
}

// NewShared bounds the memory of decoding to budget bytes, at least what the largest chunk
// takes in the default scheme, and the cache to cache bytes.
func NewShared(budget, cache int64) (*Shared, error) {
	s := &Shared{total: max(budget, memoryOf(vstack.MaxChunkSize, vstack.DefaultScheme)), codecs: map[vstack.Scheme]*erasure.Codec{}}
	s.budget = semaphore.NewWeighted(s.total)
	var err error
	s.cache, err = otter.New(&otter.Options[vstack.ChunkID, []byte]{
		MaximumWeight: uint64(max(cache, 1)),
		Weigher:       func(_ vstack.ChunkID, b []byte) uint32 { return uint32(len(b)) },
	})
	if err != nil {
		return nil, fmt.Errorf("cache of decoded chunks: %w", err)
	}
	return s, nil
}

// Close ends what the cache runs.
func (s *Shared) Close() { s.cache.StopAllGoroutines() }

// reserve waits for memory until ctx ends. What takes more than all of it has it to itself.
func (s *Shared) reserve(ctx context.Context, n int64) (release func(), err error) {
	n = min(n, s.total)
	if err := s.budget.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("wait for %d bytes of %d for decoding: %w", n, s.total, vstack.ErrUnavailable)
	}
	return func() { s.budget.Release(n) }, nil
}

func (s *Shared) codec(scheme vstack.Scheme) (*erasure.Codec, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.codecs[scheme]; c != nil {
		return c, nil
	}
	c, err := erasure.New(scheme)
	if err == nil {
		s.codecs[scheme] = c
	}
	return c, err
}

// Encode makes a fragment of a chunk.
func (s *Shared) Encode(chunk []byte, p vstack.Piece) ([]byte, error) {
	c, err := s.codec(p.Scheme)
	if err != nil {
		return nil, err
	}
	return c.Fragment(chunk, p.I)
}
