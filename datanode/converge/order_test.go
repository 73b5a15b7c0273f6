package converge

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// saying adds to an answer who has what of the groups of some chunks: through which index.
func saying(a permit.Answer, of map[at]wire.GroupShort) func() permit.Answer {
	a.Short = map[vstack.PG]wire.GroupShort{}
	for r, s := range of {
		a.Short[r.Slot.PG()] = s
	}
	return func() permit.Answer { return a }
}

// TestTheMostUrgentIsBroughtFirst: by the holders that are left beyond those that it takes,
// whatever order the groups have.
func TestTheMostUrgentIsBroughtFirst(t *testing.T) {
	cooling, warming := lying(1, 4, vstack.ClassCooling), lying(2, 0, vstack.ClassWarming)
	coldLast, coldSpare := lying(3, 3, vstack.ClassCold), lying(4, 3, vstack.ClassCold)
	hotLast, hotSpare, rotten := holding(5, 0, vstack.ClassHot), holding(6, 0, vstack.ClassHot), holding(7, 1, vstack.ClassHot)
	moved, unknown := holding(8, 2, vstack.ClassHot), holding(9, 0, vstack.ClassHot)
	lost := holding(10, 0, vstack.ClassHot)
	// Chunks are of class index 5: a holder that is complete through 4 may lack any of them.
	answer := saying(allWhole(1, 4)(), map[at]wire.GroupShort{
		cooling: {Holders: []uint64{7, 7, 7}}, warming: {Holders: []uint64{7, 7, 7, 7, 7}},
		coldLast: {Holders: []uint64{4, 5, 7, 7}}, coldSpare: {Holders: []uint64{5, 5, 7, 7}},
		hotLast: {Holders: []uint64{4, 4, 7}}, hotSpare: {Holders: []uint64{4, 7, 7}}, rotten: {Holders: []uint64{4, 7, 7}},
		moved: {Holders: []uint64{7, 7}, Leavers: 1}, lost: {Holders: []uint64{4, 4}},
	})
	v := view{cooling, moved, warming, hotSpare, unknown, coldSpare, rotten, coldLast, hotLast, lost}
	var mu sync.Mutex
	var got []byte
	l, disk := loop(t, v, func(cfg *Config) {
		cfg.Answer, cfg.Workers = answer, 1
		fetch := cfg.Fetch
		cfg.Fetch = func(ctx context.Context, s vstack.Slot, v vstack.Value, scheme vstack.Scheme) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, s.Video[0])
			return fetch(ctx, s, v, scheme)
		}
	})
	if err := disk.Upgrade(t.Context(), format.V3); err != nil {
		t.Fatal(err)
	}
	keepPart(t, disk, 2, part(0), fragmentOf(t, 2, 0))
	keep(t, disk, 7)
	l.Corrupt(vstack.ChunkIDOf(body(7)))
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Nobody else has 10. 5 and 3 have a copy, or just enough fragments; of 7, 4 and 6 one more
	// may go, and the first is rot; nothing is said of 9; 8 only moves to another store.
	want := []byte{10, 3, 5, 7, 4, 6, 9, 2, 1, 8}
	order := func(b []byte) []byte { // equals may come in any order
		b = slices.Clone(b)
		slices.Sort(b[1:3])
		slices.Sort(b[4:6])
		return b
	}
	if len(got) != len(want) || !slices.Equal(order(got), order(want)) {
		t.Errorf("fetched in the order %v, want %v", got, want)
	}
	p, err := l.survey()
	if err != nil {
		t.Fatal(err)
	}
	if p.Wanted(cooling.Chunk, vstack.Piece{}) || !p.Wanted(cooling.Chunk, part(4)) || p.Wanted(cooling.Chunk, part(3)) {
		t.Error("the survey wants another piece")
	}
}

// TestAPauseHoldsMovesAndNeverRepair: what a video is on its way to waits, and all that it
// needs to be read is brought.
func TestAPauseHoldsMovesAndNeverRepair(t *testing.T) {
	var asked []vstack.Scheme
	cooling, warming := lying(1, 0, vstack.ClassCooling), lying(2, 0, vstack.ClassWarming)
	tail, cold, hot := lying(3, 4, vstack.ClassCooling), lying(4, 1, vstack.ClassCold), holding(5, 0, vstack.ClassHot)
	paused := true
	l, disk := classy(t, view{cooling, warming, tail, cold, hot}, viewed, &asked)
	l.cfg.Answer = func() permit.Answer {
		a := allWhole(1, 4)()
		a.Paused = paused
		return a
	}
	keep(t, disk, 1)
	keepPart(t, disk, 2, part(0), fragmentOf(t, 2, 0))
	has := func() (out [][]int) {
		for n := range byte(5) {
			out = append(out, pieces(disk, n+1))
		}
		return out
	}
	equal := func(a, b [][]int) bool { return slices.EqualFunc(a, b, slices.Equal) }
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := has(), [][]int{{-1}, {0}, nil, {1}, {-1}}; !equal(got, want) {
		t.Errorf("paused: has %v, want %v", got, want)
	}
	if missing, _ := l.Lacking(); missing != 3 {
		t.Errorf("%d chunks are lacking, want those of the moves that wait, 3", missing)
	}
	paused = false
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := has(), [][]int{{-1, 0}, {-1, 0}, {4}, {1}, {-1}}; !equal(got, want) {
		t.Errorf("resumed: has %v, want %v", got, want)
	}
}

// stuck is a log whose compaction takes until it is told to end.
type stuck struct {
	Disk
	begun, end chan struct{}
}

func (s stuck) Compact(ctx context.Context) (superblock.CompactReport, error) {
	s.begun <- struct{}{}
	select {
	case <-s.end:
	case <-ctx.Done():
	}
	return superblock.CompactReport{}, ctx.Err()
}

// TestCompactionHoldsUpNoRepair: a pass ends, and brings what lacks, while space is given back.
func TestCompactionHoldsUpNoRepair(t *testing.T) {
	s := stuck{begun: make(chan struct{}), end: make(chan struct{})}
	hot := holding(2, 0, vstack.ClassHot)
	var shown view
	l, disk := loop(t, nil, func(cfg *Config) {
		s.Disk = cfg.Disk
		cfg.Disk, cfg.Catalog = s, &turning{&shown}
		cfg.Grace = time.Nanosecond
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.RunCompact(ctx) }()
	keep(t, disk, 1) // nothing names it
	for range 2 {
		if err := l.pass(ctx); err != nil {
			t.Fatal(err)
		}
	}
	<-s.begun
	if has(disk, 1) {
		t.Error("what nothing names is still here")
	}
	shown = view{hot}
	if err := l.pass(ctx); err != nil || !has(disk, 2) {
		t.Errorf("beside a compaction: fetched %v, %v", has(disk, 2), err)
	}
	close(s.end)
	<-s.begun // the passes asked again meanwhile
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// turning is a view that is exchanged between passes.
type turning struct{ *view }

func (t *turning) Snapshot() View { return *t.view }
