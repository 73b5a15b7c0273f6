package index

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// staged is a staged vote of an attempt; seq 0 is the attempt's mark.
func staged(lsn vstack.LSN, e vstack.Epoch, number, seq uint32) *format.Header {
	h := &format.Header{LSN: lsn}
	h.Kind, h.PG, h.Epoch, h.Ballot.Round = format.KindInstall, 3, e, number
	if seq > 0 {
		h.Slot, h.Upload = vstack.Slot{Video: vstack.VideoID{1}, Seq: seq}, vstack.UploadID{2}
		h.Value = vstack.Value{Chunk: vstack.ChunkID{byte(seq)}, Size: 1}
	}
	return h
}

func TestHighestAttemptsOfTheTwoNewestEpochsCount(t *testing.T) {
	records := []*format.Header{
		staged(1, 5, 1, 1), staged(2, 5, 1, 0), // epoch 5: superseded by two newer ones
		staged(3, 6, 1, 1), staged(4, 6, 1, 0), // attempt 1 at 6: superseded by attempt 2
		staged(5, 6, 2, 2), staged(6, 6, 2, 0),
		staged(7, 7, 3, 1), staged(8, 7, 3, 3), staged(9, 7, 3, 3), // the last one was sent twice
	}
	live := map[vstack.LSN]bool{5: true, 6: true, 7: true, 9: true}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		ix := New()
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		for _, h := range append(records, records[0]) {
			ix.Apply(h, uint32(h.LSN), 4096)
		}
		ix.Settle()
		for _, h := range records {
			if got := ix.Live(h, uint32(h.LSN)).State; got != live[h.LSN] {
				t.Fatalf("record %d counts: %v", h.LSN, got)
			}
			if got := ix.Usage(uint32(h.LSN)).Live > 0; got != live[h.LSN] {
				t.Fatalf("file of record %d has live bytes: %v", h.LSN, got)
			}
		}
	}
}

func TestForgettingAnUploadDropsItsStagedVotes(t *testing.T) {
	forget := &format.Header{LSN: 4}
	forget.Kind, forget.Upload = format.KindForget, vstack.UploadID{2}
	slot := &format.Header{LSN: 5}
	slot.Kind, slot.Slot = format.KindForget, staged(0, 1, 1, 1).Slot
	old, mark, later := staged(1, 6, 1, 1), staged(2, 6, 1, 0), staged(6, 6, 1, 2)
	for name, order := range map[string][]*format.Header{
		"as written": {old, mark, forget, slot, later}, "backwards": {later, slot, forget, mark, old},
	} {
		ix := New()
		for _, h := range order {
			ix.Apply(h, 1, 4096)
		}
		ix.Settle()
		if ix.Live(old, 1).State || !ix.Live(mark, 1).State || !ix.Live(later, 1).State {
			t.Errorf("%s: vote %v, mark %v, later vote %v", name, ix.Live(old, 1), ix.Live(mark, 1), ix.Live(later, 1))
		}
	}
	// Compaction keeps the tombstone for the vote, not for the mark.
	g, needed := NewGraves(), map[vstack.LSN]bool{}
	g.Add(forget)
	g.Add(slot)
	g.Mark(mark, needed)
	if len(needed) != 0 {
		t.Errorf("a mark needs the tombstones %v", needed)
	}
	g.Mark(old, needed)
	if !needed[4] || needed[5] {
		t.Errorf("a staged vote needs the tombstones %v", needed)
	}
}

func TestMemoryPerStagedVote(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, n := range []int{100_000, 260_000} {
		start := heap()
		ix := New()
		for i := range n {
			h := staged(vstack.LSN(i+1), 2, 1, uint32(i+1))
			h.PG, h.Slot.Video[1], h.Slot.Video[2] = vstack.PG(i%vstack.PlacementGroups), byte(i>>12), byte(i>>20)
			ix.Apply(h, 1, 0)
		}
		per := float64(heap()-start) / float64(n)
		t.Logf("%d staged votes: %.0f bytes each", n, per)
		if per > 80 {
			t.Errorf("%d staged votes: %.0f bytes each", n, per)
		}
		runtime.KeepAlive(ix)
	}
}
