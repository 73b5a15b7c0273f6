package serve

import (
	"bytes"
	"container/list"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// seenChunks is how many chunks are remembered as read once: about twenty minutes of
// one video, so that two viewers some minutes apart still count as two.
const seenChunks = 1024

// Cache keeps whole chunks that were read more than once, as they left: checked. The
// same video is often watched by many at once, and then reading and checking the same
// block again is a sixth of what a reader over TCP costs. Chunks are named by their
// content, so the stores of a process share one Cache; whether a store still holds a
// chunk is asked before the Cache is.
type Cache struct {
	limit int64

	mu     sync.Mutex // guards all below; never held over a copy
	bytes  int64
	chunks map[vstack.ChunkID]*list.Element
	recent *list.List // of cached, the latest read first

	seen map[vstack.ChunkID]struct{} // read once lately
	ring []vstack.ChunkID            // of seen, in order
	next int
}

// cached is never changed: those who write it to a reader may hold it after its eviction.
type cached struct {
	id   vstack.ChunkID
	data []byte
}

// NewCache bounds the cached bytes to limit; 0 caches nothing.
func NewCache(limit int64) *Cache {
	return &Cache{
		limit: limit, chunks: map[vstack.ChunkID]*list.Element{}, recent: list.New(),
		seen: map[vstack.ChunkID]struct{}{}, ring: make([]vstack.ChunkID, seenChunks),
	}
}

// get returns a chunk's bytes, not to be changed, or nil.
func (c *Cache) get(id vstack.ChunkID) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.chunks[id]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cached).data
}

// offer takes note of a whole chunk that was read, and keeps a copy of it when it was
// read before.
func (c *Cache) offer(id vstack.ChunkID, data []byte) {
	if int64(len(data)) > c.limit || !c.again(id) {
		return
	}
	entry := &cached{id, bytes.Clone(data)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.chunks[id] != nil {
		return // two readers at once
	}
	c.chunks[id] = c.recent.PushFront(entry)
	c.bytes += int64(len(data))
	for c.bytes > c.limit {
		last := c.recent.Remove(c.recent.Back()).(*cached)
		delete(c.chunks, last.id)
		c.bytes -= int64(len(last.data))
	}
}

// again reports whether the chunk was read before, lately, and remembers it.
func (c *Cache) again(id vstack.ChunkID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.seen[id]; ok {
		delete(c.seen, id) // of many readers at once, one copies
		return true
	}
	delete(c.seen, c.ring[c.next])
	c.ring[c.next] = id
	c.next = (c.next + 1) % len(c.ring)
	c.seen[id] = struct{}{}
	return false
}
