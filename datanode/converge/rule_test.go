package converge

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func keep(t *testing.T, disk *superblock.Store, n byte) {
	t.Helper()
	if _, err := disk.Append(t.Context(), superblock.Record{Kind: superblock.KindChunk, Data: body(n), Value: vstack.Value{Chunk: vstack.ChunkIDOf(body(n)), Size: 4}}); err != nil {
		t.Fatal(err)
	}
}

// passes runs the loop for long enough to end any grace.
func passes(t *testing.T, l *Loop) {
	t.Helper()
	for range 3 {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute) // of the bubble's clock
	}
}

// TestAStoreThatLeftDropsOnceTheGroupIsWhole: neither grace nor the epoch alone lets the
// chunk of a living video go.
func TestAStoreThatLeftDropsOnceTheGroupIsWhole(t *testing.T) {
	left := holding(1, -1, vstack.ClassHot) // of class index 5
	unknown := left
	unknown.ClassIndex = 0
	for name, c := range map[string]struct {
		of    at
		told  func() permit.Answer
		stays bool
	}{
		"whole":                                    {left, allWhole(1, 5), false},
		"a target lacks it":                        {left, allWhole(1, 4), true},
		"whole in the epoch before":                {left, allWhole(2, 7), true},
		"the view is older than a target's":        {left, allWhole(1, viewed+1), true},
		"nobody answers":                           {left, func() permit.Answer { return permit.Answer{Floor: 1} }, true},
		"the cluster does not know class indices":  {unknown, func() permit.Answer { a := allWhole(1, 7)(); a.Floor = 0; return a }, true},
		"older than class indices, whole since":    {unknown, func() permit.Answer { a := allWhole(1, 6)(); a.Floor = 6; return a }, false},
		"older than class indices, whole until":    {unknown, func() permit.Answer { a := allWhole(1, 5)(); a.Floor = 6; return a }, true},
		"a target that does not want it any more":  {holding(1, 4, vstack.ClassHot), allWhole(1, 5), false},
		"a target that wants it":                   {holding(1, 2, vstack.ClassHot), allWhole(1, 7), true},
		"cold, and nobody has any fragment of it":  {holding(1, 0, vstack.ClassCold), allWhole(1, 4), true},
		"cooling: the copy stays beside fragments": {holding(1, 0, vstack.ClassCooling), allWhole(1, 7), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, disk := loop(t, view{c.of}, func(cfg *Config) { cfg.Answer = c.told })
				defer disk.Close() //nolint:errcheck // the test is over
				keep(t, disk, 1)
				passes(t, l)
				if has(disk, 1) != c.stays {
					t.Errorf("chunk is here: %v, want %v", has(disk, 1), c.stays)
				}
			})
		})
	}
}

// TestEveryReferenceHasToLetGo: one chunk fills slots of two videos in two groups.
func TestEveryReferenceHasToLetGo(t *testing.T) {
	one, two := holding(1, -1, vstack.ClassHot), holding(2, -1, vstack.ClassHot)
	two.Chunk = one.Chunk
	if one.Slot.PG() == two.Slot.PG() {
		t.Fatal("the two slots share a group")
	}
	synctest.Test(t, func(t *testing.T) {
		told := allWhole(1, viewed)()
		told.Whole[two.Slot.PG()] = wire.GroupWhole{PG: two.Slot.PG(), Epoch: 1, Whole: 4}
		l, disk := loop(t, view{one, two}, func(cfg *Config) { cfg.Answer = func() permit.Answer { return told } })
		defer disk.Close() //nolint:errcheck // the test is over
		keep(t, disk, 1)
		passes(t, l)
		if !has(disk, 1) || l.Waiting() != 1 {
			t.Fatalf("dropped with one group that is not whole; %d wait", l.Waiting())
		}
		told = allWhole(1, viewed)()
		passes(t, l)
		if has(disk, 1) {
			t.Error("stays once both groups are whole")
		}
	})
}

// TestClaimsAreBelowWhatLacks: of two videos that lack, the one with the lower class index
// counts, however new its row is.
func TestClaimsAreBelowWhatLacks(t *testing.T) {
	h, later := holding(1, 0, vstack.ClassHot), holding(1, 0, vstack.ClassHot)
	later.Slot.Video, later.ClassIndex = vstack.VideoID{1, 1}, 6
	for later.Slot.PG() != h.Slot.PG() {
		later.Slot.Seq++
	}
	l, _ := loop(t, view{later, h}, func(cfg *Config) {
		cfg.Fetch = func(context.Context, vstack.Slot, vstack.Value, vstack.Scheme) ([]byte, error) {
			return nil, vstack.ErrUnavailable
		}
	})
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range l.Claims() {
		if c.PG == h.Slot.PG() && (c.Complete != 4 || c.Surveyed != viewed || c.Epoch != 1) {
			t.Errorf("claims %+v, and lacks a video of class index 5", c)
		}
	}
	if at, groups := l.Behind(); at != viewed || len(groups) != 1 || groups[0] != h.Slot.PG() {
		t.Errorf("to an older leader: at %d behind in %v", at, groups)
	}
}

// TestDamagedChunksAreLacking though their records are there.
func TestDamagedChunksAreLacking(t *testing.T) {
	h := holding(1, 0, vstack.ClassHot)
	l, disk := loop(t, view{h}, func(cfg *Config) {
		cfg.Fetch = func(context.Context, vstack.Slot, vstack.Value, vstack.Scheme) ([]byte, error) {
			return nil, vstack.ErrUnavailable
		}
	})
	keep(t, disk, 1)
	l.Corrupt(h.Chunk)
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, groups := l.Behind(); len(groups) != 1 || !has(disk, 1) {
		t.Errorf("behind in %v with its only chunk damaged", groups)
	}
}

// script is a feed whose pages the test hands over.
type script struct{ pages chan wire.FeedPage }

func (s script) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	if req.Wait == 0 && !req.References {
		return feed.Page{Index: req.Since}, nil // while groups are read: no news besides
	}
	select {
	case p := <-s.pages:
		return feed.FromJSON(&p, req), nil
	case <-ctx.Done():
		return feed.Page{}, ctx.Err()
	}
}

// TestAStoreThatJoinsClaimsNothingUntilItHasReadTheGroup: while the feed is read again for
// a group that came here, what the view does not name is unread.
func TestAStoreThatJoinsClaimsNothingUntilItHasReadTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unreachable := func(context.Context, vstack.Slot, vstack.Value, vstack.Scheme) ([]byte, error) {
			return nil, vstack.ErrUnavailable
		}
		l, disk := loop(t, nil, func(cfg *Config) { cfg.Fetch = unreachable })
		defer disk.Close() //nolint:errcheck // the test is over
		self := l.cfg.Disk.ID()
		a, b, c := vstack.StoreID{1}, vstack.StoreID{2}, vstack.StoreID{3}
		placed := func(version uint64, epoch vstack.Epoch, targets ...vstack.StoreID) *vstack.PlacementMap {
			m := &vstack.PlacementMap{Version: version}
			for range vstack.PlacementGroups {
				m.Groups = append(m.Groups, vstack.PGTargets{Epoch: epoch, Targets: targets})
			}
			return m
		}
		m := &vstack.Manifest{Video: vstack.VideoID{9}, Tracks: []vstack.Track{{Number: 1, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkIDOf(body(9)), Size: 4}}}}}
		video := wire.FeedVideo{Video: vstack.Video{ID: m.Video, State: vstack.VideoPublished, Class: vstack.ClassHot, Index: 2, ClassIndex: 2}, Manifest: m}
		f := script{make(chan wire.FeedPage)}
		fo, err := catalog.Open(catalog.Config{Feed: f, Stores: []vstack.StoreID{self}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		l.cfg.Catalog, l.cfg.Complete = Followed{fo}, func() bool { return fo.Synced(1) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- fo.Run(ctx) }()
		defer func() {
			cancel()
			if err := errors.Join(<-done, fo.Close()); err != nil {
				t.Error(err)
			}
		}()
		give := func(p wire.FeedPage) wire.GroupClaim {
			f.pages <- p
			synctest.Wait()
			if err := l.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			pg := vstack.Slot{Video: m.Video, Track: 1, Seq: 1}.PG()
			return l.Claims()[pg]
		}
		give(wire.FeedPage{Index: 2, End: 2, Placement: placed(1, 1, a, b, c), Videos: []wire.FeedVideo{video}})
		claim := give(wire.FeedPage{Index: 3, End: 3, Placement: placed(3, 2, a, b, self)})
		if claim.Complete != 0 || claim.Surveyed != 0 {
			t.Errorf("while the feed is read again, a store without a copy claims %+v", claim)
		}
		if at, _ := l.Behind(); at != 0 {
			t.Errorf("to an older leader it knows all of its groups through %d", at)
		}
		claim = give(wire.FeedPage{Index: 3, End: 3, Placement: placed(3, 2, a, b, self), Videos: []wire.FeedVideo{video}})
		if claim.Complete != 1 || claim.Surveyed != 3 || claim.Epoch != 2 {
			t.Errorf("a store that lacks the video of class index 2 claims %+v", claim)
		}
		keep(t, disk, 9)
		claim = give(wire.FeedPage{Index: 4, End: 4})
		if claim.Complete != 4 || claim.Surveyed != 4 {
			t.Errorf("a store that has everything claims %+v", claim)
		}
	})
}
