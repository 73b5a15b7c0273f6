package vote

import (
	"sync"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/internal/vstack"
)

// votes remembers which chunks the live votes name, staged ones included, so that none
// of them is dropped. It may name more than the log does, never less.
type votes struct {
	mu       sync.Mutex // guards byUpload
	byUpload map[vstack.UploadID]map[vstack.ChunkID]vstack.Slot
}

func newVotes() *votes {
	return &votes{byUpload: map[vstack.UploadID]map[vstack.ChunkID]vstack.Slot{}}
}

// add notes a vote; it comes before the vote's append.
func (v *votes) add(u vstack.UploadID, s vstack.Slot, id vstack.ChunkID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	chunks := v.byUpload[u]
	if chunks == nil {
		chunks = map[vstack.ChunkID]vstack.Slot{}
		v.byUpload[u] = chunks
	}
	chunks[id] = s
}

// name notes the chunk of a vote or a staged vote; other records name none.
func (v *votes) name(d chunkpaxos.Durable) {
	if !d.Value.Chunk.IsZero() {
		v.add(d.Upload, d.Slot, d.Value.Chunk)
	}
}

// names reports whether a vote names a chunk. There are few open uploads.
func (v *votes) names(id vstack.ChunkID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, chunks := range v.byUpload {
		if _, ok := chunks[id]; ok {
			return true
		}
	}
	return false
}

// forget drops the votes of an ended upload.
func (v *votes) forget(u vstack.UploadID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.byUpload, u)
}

// all is a copy: every chunk with one slot that it was voted for.
func (v *votes) all() map[vstack.ChunkID]vstack.Slot {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := map[vstack.ChunkID]vstack.Slot{}
	for _, chunks := range v.byUpload {
		for id, s := range chunks {
			out[id] = s
		}
	}
	return out
}
