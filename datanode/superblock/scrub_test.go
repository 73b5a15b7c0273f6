package superblock

import (
	"context"
	"testing"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// TestAScrubHoldsUpNeitherCompactionNorState stops a scrub in the middle of a file:
// the rest of the store goes on, and the file itself can be compacted away under it.
func TestAScrubHoldsUpNeitherCompactionNorState(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	cfg.SuperblockSize, cfg.Reserve = 64<<10, 64<<10
	s := open(t, cfg)
	var chunks [][]byte
	for i := range 40 {
		chunks = append(chunks, payload(uint64(i), 5000))
		mustAppend(t, s, voted(chunks[i], slotOf(1, uint32(i)), 0))
	}
	damaged := vstack.ChunkIDOf(chunks[0])
	at, _ := s.ix.Chunk(damaged)
	first := s.files[at.File]
	flip(t, disk, first.path, at.Offset()+at.Shape().HeaderLen()+7, 1)

	found, goOn := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	var report ScrubReport
	go func() {
		var err error
		report, err = s.Scrub(context.Background(), 0, func(vstack.ChunkID, vstack.Piece, error) {
			found <- struct{}{}
			<-goOn
		})
		done <- err
	}()
	<-found
	if !within(func() { stateOf(s) }) {
		t.Error("a scrub holds up what reads the votes")
	}
	mustAppend(t, s, stored(chunks[0])) // healed, so that nothing keeps the file
	for _, c := range chunks[1:8] {
		mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(c)}})
	}
	if !within(func() {
		if got, err := s.Compact(context.Background()); err != nil || got.Files == 0 {
			t.Errorf("compact: %+v, %v", got, err)
		}
	}) {
		t.Error("a scrub holds up compaction, and with it repair")
	}
	close(goOn)
	if err := <-done; err != nil || report.Bad != 1 || report.Rot != 0 {
		t.Errorf("scrub: %+v, %v", report, err)
	}
	if _, there := s.files[first.id]; there || first.refs.Load() != 0 {
		t.Errorf("the compacted file is there: %v, and %d hold it open", there, first.refs.Load())
	}
	closeStore(t, s)
}
