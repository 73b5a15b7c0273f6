package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// TestTableIsAMap does the same to a table and to a map, with few chunks, so that chains of
// probes are long and many removals close gaps in them.
func TestTableIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		tab := table{seed: maphash.MakeSeed()}
		want := map[pieceKey]Entry{}
		chunks := 1 + rng.IntN(60)
		for step := range 4000 {
			grow := step/1000%2 == 0 // and shrink, in turn
			key := pieceKey{chunk: vstack.ChunkID{byte(rng.IntN(chunks))}}
			if rng.IntN(2) == 0 {
				key.piece = vstack.Piece{Scheme: vstack.DefaultScheme, I: uint8(rng.IntN(5))}
			}
			if add := rng.IntN(4) > 0; add == grow {
				e := Entry{size: rng.Uint32(), k: key.piece.K, m: key.piece.M, i: key.piece.I}
				tab.put(key.chunk, e)
				want[key] = e
			} else {
				tab.remove(key.chunk, key.piece)
				delete(want, key)
			}
			if step%50 == 0 {
				compare(t, &tab, want)
			}
		}
		compare(t, &tab, want)
		for key := range maps.Clone(want) {
			tab.remove(key.chunk, key.piece)
			delete(want, key)
		}
		if compare(t, &tab, want); len(tab.places) > minPlaces {
			t.Errorf("an empty table has %d places", len(tab.places))
		}
	}
}

func compare(t *testing.T, tab *table, want map[pieceKey]Entry) {
	t.Helper()
	got := map[pieceKey]Entry{}
	var last []byte
	tab.page(vstack.ChunkID{}, func(id vstack.ChunkID, e Entry) {
		p := e.Piece()
		key := append(id[:], p.K, p.M, p.I)
		if last != nil && bytes.Compare(last, key) >= 0 {
			t.Fatalf("%x behind %x", key, last)
		}
		last = key
		got[pieceKey{id, p}] = e
	})
	of := map[vstack.ChunkID]int{}
	for key, e := range want {
		if have, ok := tab.get(key.chunk, key.piece); !ok || have != e {
			t.Fatalf("%v is %v, %v; want %v", key, have, ok, e)
		}
		if of[key.chunk]++; key.chunk != (vstack.ChunkID{}) && got[key] != e {
			t.Fatalf("%v is %v on its page", key, got[key])
		}
	}
	for i := range 256 {
		id, n := vstack.ChunkID{byte(i)}, 0
		tab.each(id, func(Entry) { n++ })
		if n != of[id] {
			t.Fatalf("%d pieces of chunk %d, want %d", n, i, of[id])
		}
	}
}

// TestMemoryPerPiece holds a piece to 82 bytes at several fillings; at 10⁷ pieces when
// VSTACK_SOAK is set.
func TestMemoryPerPiece(t *testing.T) {
	counts := []int{100_000, 131_000, 197_000, 260_000}
	if os.Getenv("VSTACK_SOAK") != "" {
		counts = append(counts, 10_000_000)
	}
	for _, n := range counts {
		start := heap()
		ix := filled(n)
		per := float64(heap()-start) / float64(n)
		t.Logf("%d pieces: %.1f bytes a piece", n, per)
		if per > 82 {
			t.Errorf("%d pieces take %.1f bytes each", n, per)
		}
		if got := ix.Totals().Fragments; got != n {
			t.Errorf("%d pieces, want %d", got, n)
		}
		runtime.KeepAlive(ix)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// filled is an index of n fragments, each of another chunk.
func filled(n int) *Index {
	ix := New()
	h := fragmentAt(0)
	for i := range n {
		nameChunk(&h.Value.Chunk, i)
		h.LSN = vstack.LSN(i + 1)
		ix.Apply(h, uint32(1+i/1000), 4096+int64(i%1000)<<20)
	}
	ix.Settle()
	return ix
}

func fragmentAt(i int) *format.Header {
	h := &format.Header{Version: format.V3, LSN: vstack.LSN(i + 1), DataLen: 699_051, LeavesLen: 1024}
	h.Kind, h.Piece, h.Value.Size = format.KindFragment, vstack.Piece{Scheme: vstack.DefaultScheme, I: uint8(i % 5)}, vstack.ChunkSize
	nameChunk(&h.Value.Chunk, i)
	return h
}

func nameChunk(id *vstack.ChunkID, i int) {
	binary.BigEndian.PutUint64(id[:], uint64(i+1)*0x9e3779b97f4a7c15)
}

func TestFragmentsFollowTheSameOrder(t *testing.T) {
	put, drop, other := fragmentAt(0), fragmentAt(0), fragmentAt(0)
	drop.Kind, drop.DataLen, drop.LeavesLen, drop.LSN = format.KindDropFragment, 0, 0, 5
	other.Piece.I, other.LSN = 3, 2
	for name, order := range map[string][]*format.Header{
		"as written": {put, other, drop}, "backwards": {drop, other, put}, "twice": {put, drop, other, put, drop},
	} {
		ix := New()
		for i, h := range order {
			ix.Apply(h, uint32(i+1), 4096)
		}
		ix.Settle()
		if _, ok := ix.Piece(put.Value.Chunk, put.Piece); ok {
			t.Errorf("%s: the dropped fragment is there", name)
		}
		if e, ok := ix.Piece(put.Value.Chunk, other.Piece); !ok || e.LSN() != 2 || e.DataLen() != 699_051 || e.Size() != vstack.ChunkSize {
			t.Errorf("%s: the other one is %+v, %v", name, e, ok)
		}
		if tot := ix.Totals(); tot.Fragments != 1 || tot.FragmentBytes != 699_051 || tot.Chunks != 0 {
			t.Errorf("%s: %+v", name, tot)
		}
	}
	needed := map[vstack.LSN]bool{}
	g := NewGraves()
	g.Add(drop)
	if g.Mark(other, needed); len(needed) != 0 {
		t.Errorf("a tombstone of another fragment is kept: %v", needed)
	}
	if g.Mark(put, needed); !slices.Equal(slices.Collect(maps.Keys(needed)), []vstack.LSN{5}) {
		t.Errorf("tombstones %v are needed, want 5", needed)
	}
}

// BenchmarkIndex looks pieces up among many and says what one takes.
func BenchmarkIndex(b *testing.B) {
	n := 1_000_000
	if env, err := strconv.Atoi(os.Getenv("VSTACK_PIECES")); err == nil {
		n = env
	}
	b.Run(fmt.Sprintf("pieces=%d", n), func(b *testing.B) {
		start := heap()
		ix := filled(n)
		per := float64(heap()-start) / float64(n)
		h := fragmentAt(0)
		rng := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			nameChunk(&h.Value.Chunk, rng.IntN(n))
			if _, ok := ix.Piece(h.Value.Chunk, h.Piece); !ok {
				b.Fatal("a piece is gone")
			}
		}
		b.ReportMetric(per, "B/piece")
	})
}
