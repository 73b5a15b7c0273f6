package converge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a reference and where the store is among its group's targets.
type at struct {
	catalog.Reference
	index int
}

// view is a catalog of fixed references, complete through viewed in epoch 1 of every group.
type view []at

const viewed = 7

func (v view) Snapshot() View            { return v }
func (v view) Close()                    {}
func (v view) Complete(vstack.PG) uint64 { return viewed }
func (v view) Changed() <-chan struct{}  { return nil }
func (v view) Placement() *vstack.PlacementMap {
	m := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for pg := range m.Groups {
		m.Groups[pg] = vstack.PGTargets{Epoch: 1, Targets: slices.Repeat([]vstack.StoreID{{200}}, vstack.Targets)}
	}
	for _, r := range v {
		if r.index >= 0 {
			m.Groups[r.Slot.PG()].Targets[r.index] = vstack.StoreID{100}
		}
	}
	return m
}

func (v view) References(pg vstack.PG, yield func(catalog.Reference) bool) error {
	for _, r := range v {
		if r.Slot.PG() == pg && !yield(r.Reference) {
			break
		}
	}
	return nil
}

func (v view) Slots(wanted map[vstack.ChunkID]struct{}) map[vstack.ChunkID]catalog.Place {
	out := map[vstack.ChunkID]catalog.Place{}
	for _, h := range v {
		if _, ok := wanted[h.Chunk]; ok {
			out[h.Chunk] = catalog.Place{Slot: h.Slot, Size: h.Size, Class: h.Class, Scheme: h.Scheme, ClassIndex: h.ClassIndex}
		}
	}
	return out
}

// me is the store of the tests, whose log has another id.
type me struct{ *superblock.Store }

func (me) ID() vstack.StoreID { return vstack.StoreID{100} }

// inAll is a store that knows every group and forgets none.
type inAll struct{}

func (inAll) Forget([]vstack.PG) error { return nil }
func (inAll) Known() (g permit.Groups) {
	for pg := range g {
		g[pg] = true
	}
	return g
}

// allWhole is the answer of a leader to whom every group is whole.
func allWhole(epoch vstack.Epoch, whole uint64) func() permit.Answer {
	a := permit.Answer{Floor: 1, Whole: map[vstack.PG]wire.GroupWhole{}}
	for pg := range vstack.PG(vstack.PlacementGroups) {
		a.Whole[pg] = wire.GroupWhole{PG: pg, Epoch: epoch, Whole: whole, Surveyed: whole}
	}
	return func() permit.Answer { return a }
}

// noVotes is an acceptor without votes.
type noVotes struct{ disk *superblock.Store }

func (noVotes) Plan()                                 {}
func (noVotes) Voted() map[vstack.ChunkID]vstack.Slot { return nil }
func (v noVotes) Drop(ctx context.Context, ids []vstack.ChunkID) (int, error) {
	for _, id := range ids {
		if _, err := v.disk.Append(ctx, superblock.Record{Kind: superblock.KindDrop, Value: vstack.Value{Chunk: id}}); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

func body(n byte) []byte { return []byte{n, n, n, n} }

func holding(n byte, index int, class vstack.StorageClass) at {
	return at{catalog.Reference{Slot: vstack.Slot{Video: vstack.VideoID{n}, Seq: 1}, Chunk: vstack.ChunkIDOf(body(n)), Size: 4, Class: class, ClassIndex: 5}, index}
}

// loop is a Loop over a real log; fetch gives every chunk of body.
func loop(t *testing.T, v view, tune func(*Config)) (*Loop, *superblock.Store) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	disk, err := superblock.Open(context.Background(), superblock.Config{Dir: t.TempDir(), SuperblockSize: 16 << 20, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	cfg := Config{
		Disk: me{disk}, Catalog: v, Votes: noVotes{disk}, Logger: log, Rate: NewBudget(1 << 30),
		Groups: inAll{}, Answer: allWhole(1, viewed),
		Complete: func() bool { return true },
		Fetch: func(_ context.Context, s vstack.Slot, _ vstack.Value, _ vstack.Scheme) ([]byte, error) {
			return body(s.Video[0]), nil
		},
	}
	if tune != nil {
		tune(&cfg)
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l, disk
}

func has(d *superblock.Store, n byte) bool {
	_, ok := d.Lookup(vstack.ChunkIDOf(body(n)))
	return ok
}

func TestNothingIsFetchedBeforeTheLogMayGrow(t *testing.T) {
	settled := false
	l, disk := loop(t, view{holding(1, 0, vstack.ClassHot)}, func(c *Config) { c.Complete = func() bool { return settled } })
	for _, settled = range []bool{false, true} {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		missing, _ := l.Lacking()
		if has(disk, 1) != settled || (missing == 0) != settled {
			t.Errorf("settled %v: chunk here %v, %d missing", settled, has(disk, 1), missing)
		}
	}
}

func TestPassFetchesWhatIsMissing(t *testing.T) {
	v := view{holding(1, 0, vstack.ClassHot), holding(2, 2, vstack.ClassHot), holding(3, 3, vstack.ClassHot), holding(1, 0, vstack.ClassHot)}
	l, disk := loop(t, v, nil)
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !has(disk, 1) || !has(disk, 2) || has(disk, 3) {
		t.Errorf("holds 1 %v, 2 %v, 3 %v", has(disk, 1), has(disk, 2), has(disk, 3))
	}
	if missing, corrupt := l.Lacking(); missing != 0 || corrupt != 0 {
		t.Errorf("still lacks %d and %d", missing, corrupt)
	}
}

func TestASurveyTellsWhichGroupsLackChunks(t *testing.T) {
	v := view{holding(1, 0, vstack.ClassHot), holding(2, 0, vstack.ClassHot), holding(3, 3, vstack.ClassHot)}
	reachable := false
	l, _ := loop(t, v, func(c *Config) {
		c.Fetch = func(_ context.Context, s vstack.Slot, _ vstack.Value, _ vstack.Scheme) ([]byte, error) {
			if s.Video[0] == 2 && !reachable {
				return nil, vstack.ErrUnavailable
			}
			return body(s.Video[0]), nil
		}
	})
	if index, groups := l.Behind(); index != 0 || groups != nil {
		t.Errorf("before it looked: %d, %v", index, groups)
	}
	for _, want := range [][]vstack.PG{{v[1].Slot.PG()}, nil} {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if index, groups := l.Behind(); index != viewed || !slices.Equal(groups, want) {
			t.Errorf("at %d lacks %v, want %v", index, groups, want)
		}
		reachable = true
	}
}

func TestWrongBytesAreNotKept(t *testing.T) {
	l, disk := loop(t, view{holding(1, 0, vstack.ClassHot)}, func(c *Config) {
		c.Fetch = func(context.Context, vstack.Slot, vstack.Value, vstack.Scheme) ([]byte, error) { return body(9), nil }
	})
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if missing, _ := l.Lacking(); missing != 1 || disk.Stats().Chunks != 0 {
		t.Errorf("missing %d, store has %d chunks", missing, disk.Stats().Chunks)
	}
}

func TestOneUnreachableChunkDoesNotStopTheOthers(t *testing.T) {
	l, disk := loop(t, view{holding(1, 0, vstack.ClassHot), holding(2, 0, vstack.ClassHot)}, func(c *Config) {
		c.Workers = 1
		c.Fetch = func(_ context.Context, s vstack.Slot, _ vstack.Value, _ vstack.Scheme) ([]byte, error) {
			if s.Video[0] == 1 {
				return nil, errors.New("no holder answers")
			}
			return body(2), nil
		}
	})
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if missing, _ := l.Lacking(); missing != 1 || !has(disk, 2) {
		t.Errorf("missing %d, holds the other %v", missing, has(disk, 2))
	}
}

func TestUnnamedChunkGoesAfterItsGrace(t *testing.T) {
	l, disk := loop(t, view{holding(1, 0, vstack.ClassHot)}, func(c *Config) { c.Grace = time.Hour })
	for n := byte(1); n <= 2; n++ {
		if _, err := disk.Append(t.Context(), superblock.Record{Kind: superblock.KindChunk, Data: body(n), Value: vstack.Value{Chunk: vstack.ChunkIDOf(body(n)), Size: 4}}); err != nil {
			t.Fatal(err)
		}
	}
	pass := func() {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	pass()
	if !has(disk, 2) {
		t.Fatal("dropped within its grace")
	}
	l.free[held{id: vstack.ChunkIDOf(body(2))}] = time.Now().Add(-2 * time.Hour)
	pass()
	if has(disk, 2) || !has(disk, 1) {
		t.Errorf("after the grace: unnamed %v, named %v", has(disk, 2), has(disk, 1))
	}
}

func TestNothingGoesWhileTheViewIsIncomplete(t *testing.T) {
	l, disk := loop(t, nil, func(c *Config) { c.Complete = func() bool { return false }; c.Grace = 1 })
	if _, err := disk.Append(t.Context(), superblock.Record{Kind: superblock.KindChunk, Data: body(1), Value: vstack.Value{Chunk: vstack.ChunkIDOf(body(1)), Size: 4}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !has(disk, 1) {
		t.Error("dropped by a store that does not know the catalog")
	}
}

func TestRepairYieldsToSlowReads(t *testing.T) {
	var slow atomic.Bool
	slow.Store(true)
	var fetched atomic.Int32
	l, _ := loop(t, view{holding(1, 0, vstack.ClassHot)}, func(c *Config) {
		c.ReadP99 = func() time.Duration {
			if slow.Load() {
				return time.Second
			}
			return 0
		}
		fetch := c.Fetch
		c.Fetch = func(ctx context.Context, s vstack.Slot, v vstack.Value, scheme vstack.Scheme) ([]byte, error) {
			fetched.Add(1)
			return fetch(ctx, s, v, scheme)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		var resumed atomic.Bool
		wg.Go(func() { _ = l.yield(context.Background()); resumed.Store(true) })
		time.Sleep((maxYields-2)*yieldPause + 1)
		synctest.Wait()
		if resumed.Load() {
			t.Error("repair went on while reads were slow")
		}
		slow.Store(false)
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took > yieldPause {
			t.Errorf("repair went on %s after reads were fast again", took)
		}
		slow.Store(true)
		start = time.Now()
		if err := l.yield(context.Background()); err != nil || time.Since(start) != maxYields*yieldPause {
			t.Errorf("readers that are always slow delayed a chunk by %s, %v; want %s", time.Since(start), err, maxYields*yieldPause)
		}
	})
	slow.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.yield(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a shutdown waits for readers: %v", err)
	}
	slow.Store(false)
	if err := l.pass(t.Context()); err != nil || fetched.Load() != 1 {
		t.Errorf("fetched %d, %v", fetched.Load(), err)
	}
}

func TestBudgetBoundsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(vstack.MaxChunkSize) // one largest chunk a second, and as much at once
		start := time.Now()
		for range 11 {
			if err := b.spend(t.Context(), vstack.MaxChunkSize); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 9900*time.Millisecond || took > 10100*time.Millisecond {
			t.Errorf("ten chunks beyond the burst took %s", took)
		}
	})
}

func TestSecondScrubIsRefused(t *testing.T) {
	l, _ := loop(t, nil, nil)
	if err := l.Scrub(0); err != nil {
		t.Fatal(err)
	}
	if err := l.Scrub(0); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("got %v", err)
	}
}

// TestFetchingIsNoReasonToRest: what is found damaged after a long repair is healed soon.
func TestFetchingIsNoReasonToRest(t *testing.T) {
	const slow = 300 * time.Millisecond
	l, disk := loop(t, view{holding(1, 0, vstack.ClassHot)}, func(c *Config) {
		fetch := c.Fetch
		c.Fetch = func(ctx context.Context, s vstack.Slot, v vstack.Value, scheme vstack.Scheme) ([]byte, error) {
			time.Sleep(slow) // a peer that is slow, not a wait for anything
			return fetch(ctx, s, v, scheme)
		}
	})
	if err := l.pass(t.Context()); err != nil || !has(disk, 1) {
		t.Fatalf("fetched %v, %v", has(disk, 1), err)
	}
	if l.looked <= 0 || l.looked >= slow {
		t.Errorf("the pass counts as %v of looking, and its fetch took %v", l.looked, slow)
	}
}
