package index

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

func chunkAt(i int) *format.Header {
	h := &format.Header{Version: format.V1, LSN: vstack.LSN(i + 1), DataLen: vstack.ChunkSize}
	h.Kind = format.KindChunk
	binary.BigEndian.PutUint64(h.Value.Chunk[:], uint64(i+1)*0x9e3779b97f4a7c15)
	h.Value.Size = h.DataLen
	return h
}

// TestMemoryPerChunk holds the index to 100 bytes a chunk and about as many more while its
// slot has a vote, at several fillings of Go's maps.
func TestMemoryPerChunk(t *testing.T) {
	for _, n := range []int{100_000, 260_000, 512_000} {
		start := heap()
		ix := New()
		for i := range n {
			ix.Apply(chunkAt(i), 1, int64(i)*format.Shape{Version: format.V1, Data: vstack.ChunkSize}.Len()%format.MaxFile)
		}
		chunks := heap() - start
		for i := range n {
			h := chunkAt(i)
			h.Kind, h.DataLen = format.KindVote, 0
			h.Slot = vstack.Slot{Video: vstack.VideoID{byte(i >> 12), byte(i >> 20), 1}, Track: 1, Seq: uint32(i)}
			ix.Apply(h, 1, 0)
		}
		votes := heap() - start - chunks
		perChunk, perVote := float64(chunks)/float64(n), float64(votes)/float64(n)
		t.Logf("%d chunks: %.0f bytes a chunk, %.0f a vote", n, perChunk, perVote)
		if perChunk > 100 || perVote > 105 {
			t.Errorf("%d chunks: %.0f bytes a chunk, %.0f a vote", n, perChunk, perVote)
		}
		runtime.KeepAlive(ix)
	}
}

func TestHighestLSNWinsInAnyOrder(t *testing.T) {
	drop := chunkAt(0)
	drop.Kind, drop.DataLen, drop.LSN = format.KindDrop, 0, 5
	older, newer := chunkAt(0), chunkAt(0)
	newer.LSN = 9
	id := older.Value.Chunk
	for name, order := range map[string][]*format.Header{
		"as written": {older, drop, newer},
		"backwards":  {newer, drop, older},
		"mixed":      {drop, newer, older, newer},
	} {
		ix := New()
		for i, h := range order {
			ix.Apply(h, uint32(i), 4096)
		}
		ix.Settle()
		if e, ok := ix.Chunk(id); !ok || e.LSN() != 9 || ix.Totals().Chunks != 1 {
			t.Errorf("%s: %+v, %v", name, e, ok)
		}
		var live int64
		for i := range order {
			live += ix.Usage(uint32(i)).Live
		}
		if want := (format.Shape{Version: format.V1, Data: vstack.ChunkSize}).Len(); live != want {
			t.Errorf("%s: %d live bytes", name, live)
		}
	}
	ix := New()
	ix.Apply(drop, 1, 4096)
	ix.Apply(older, 2, 4096)
	ix.Settle()
	if _, ok := ix.Chunk(id); ok || ix.Usage(2).Live != 0 {
		t.Error("a dropped chunk came back")
	}
}
