package serve

import (
	"fmt"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"github.com/vstack/vstack/internal/vstack"
)

// Cache keeps whole chunks as they were read from disk: checked. The same video is often
// watched by many at once, and then reading and checking the same block again is a sixth of
// what a reader over TCP costs. Chunks are named by their content, so the stores of a process
// share one Cache; whether a store still holds a chunk is asked before the Cache is.
//
// What is read often stays, and what is read once does not push it out: otter admits by how
// often a chunk was read lately. Nothing is copied: the memory that a read was made into is
// the Cache's and its readers' together, and goes back to where it is from when the last of
// them needs it no more.
type Cache struct {
	limit int64
	kept  *otter.Cache[vstack.ChunkID, *shared] // nil: keeps nothing
}

// shared is memory that several use. Its bytes are not to be changed.
type shared struct {
	buf  *Buffer
	uses atomic.Int64
}

// share makes memory common property, and the caller its first user.
func share(buf *Buffer) *shared {
	s := &shared{buf: buf}
	s.uses.Store(1)
	return s
}

// join makes the caller a user, or is false: the last one has left.
func (s *shared) join() bool {
	for {
		n := s.uses.Load()
		if n == 0 {
			return false
		}
		if s.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave is each user's, once.
func (s *shared) leave() {
	if s.uses.Add(-1) == 0 {
		s.buf.Release()
	}
}

// NewCache bounds the memory of cached chunks to limit bytes; 0 caches nothing.
func NewCache(limit int64) (*Cache, error) {
	c := &Cache{limit: limit}
	if limit <= 0 {
		return c, nil
	}
	var err error
	c.kept, err = otter.New(&otter.Options[vstack.ChunkID, *shared]{
		MaximumWeight: uint64(limit),
		Weigher:       func(_ vstack.ChunkID, s *shared) uint32 { return uint32(s.buf.Size()) },
		OnDeletion:    func(e otter.DeletionEvent[vstack.ChunkID, *shared]) { e.Value.leave() },
		Executor:      func(work func()) { work() }, // in the reader's turn, so that the bound holds when it has its answer
	})
	if err != nil {
		return nil, fmt.Errorf("cache of chunks: %w", err)
	}
	return c, nil
}

// get makes the caller a user of a chunk's memory, who has to leave; nil: it is not here.
func (c *Cache) get(id vstack.ChunkID) *shared {
	if c.kept == nil {
		return nil
	}
	if s, ok := c.kept.GetIfPresent(id); ok && s.join() {
		return s
	}
	return nil
}

// offer has the Cache use the memory of a whole chunk too, if it is read often enough. The
// caller is a user of it.
func (c *Cache) offer(id vstack.ChunkID, s *shared) {
	if c.kept == nil || s.buf.Size() > c.limit {
		return
	}
	s.uses.Add(1)
	if _, ok := c.kept.SetIfAbsent(id, s); !ok {
		s.leave() // two readers at once
	}
}

// bytes is the memory of what is kept.
func (c *Cache) bytes() int64 {
	if c.kept == nil {
		return 0
	}
	return int64(c.kept.WeightedSize())
}
