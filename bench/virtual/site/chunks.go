package site

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// shelf keeps the bytes of a site's chunks once, however many stores hold them.
type shelf struct {
	mu     sync.Mutex
	data   map[vstack.ChunkID][]byte
	tables map[vstack.ChunkID]vstack.LeafTable // of those that were stored with one
}

func newShelf() *shelf {
	return &shelf{data: map[vstack.ChunkID][]byte{}, tables: map[vstack.ChunkID]vstack.LeafTable{}}
}

func (s *shelf) keep(id vstack.ChunkID, data []byte, table vstack.LeafTable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[id], s.tables[id] = data, table
}

func (s *shelf) table(id vstack.ChunkID) vstack.LeafTable {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables[id]
}

func (s *shelf) add(data []byte) vstack.ChunkID {
	id := vstack.ChunkIDOf(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[id] = data
	return id
}

func (s *shelf) get(id vstack.ChunkID) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data[id]
}

// Chunks is what one store holds; it is a serve.Chunks.
type Chunks struct {
	shelf *shelf
	disk  func(n int) time.Duration

	mu      sync.Mutex
	held    map[vstack.ChunkID]bool
	served  []Served
	corrupt func(id vstack.ChunkID, p []byte, off int64)
	table   vstack.LeafTable // what is said to be stored with every chunk
}

// Served is one read of a store.
type Served struct {
	Chunk  vstack.ChunkID
	Off, N int64
}

func newChunks(s *shelf, disk func(int) time.Duration) *Chunks {
	return &Chunks{shelf: s, disk: disk, held: map[vstack.ChunkID]bool{}}
}

func (c *Chunks) hold(id vstack.ChunkID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[id] = true
}

// Corrupt has f change what reads return from now on; nil ends that.
func (c *Chunks) Corrupt(f func(id vstack.ChunkID, p []byte, off int64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corrupt = f
}

// Poison has the store say that a table is stored with every chunk.
func (c *Chunks) Poison(table vstack.LeafTable) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table = table
}

// LeafTable implements serve.LeafTables.
func (c *Chunks) LeafTable(_ context.Context, id vstack.ChunkID) (vstack.LeafTable, error) {
	c.mu.Lock()
	poison := c.table
	c.mu.Unlock()
	if poison != nil {
		return poison, nil
	}
	return c.shelf.table(id), nil
}

// Served lists the reads so far.
func (c *Chunks) Served() []Served {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Served(nil), c.served...)
}

// Size implements serve.Chunks.
func (c *Chunks) Size(id vstack.ChunkID) (uint32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held[id] {
		return 0, false
	}
	return uint32(len(c.shelf.get(id))), true
}

// ReadAt implements serve.Chunks.
func (c *Chunks) ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error) {
	data := c.shelf.get(id)
	c.mu.Lock()
	held, corrupt := c.held[id], c.corrupt
	if held {
		c.served = append(c.served, Served{id, off, int64(len(p))})
	}
	c.mu.Unlock()
	if !held || off > int64(len(data)) {
		return 0, fmt.Errorf("chunk %s: %w", id.Short(), vstack.ErrNotFound)
	}
	if c.disk != nil {
		t := time.NewTimer(c.disk(len(p)))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("read chunk %s: %w", id.Short(), vstack.ErrCanceled)
		}
	}
	n := copy(p, data[off:])
	if corrupt != nil {
		corrupt(id, p[:n], off)
	}
	return n, nil
}
