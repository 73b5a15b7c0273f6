package converge

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// onePage is a feed that has one page and then no news.
type onePage struct{ page wire.FeedPage }

func (f onePage) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	if req.Since < f.page.Index || req.Wait == 0 {
		return feed.FromJSON(&f.page, req), nil
	}
	<-ctx.Done()
	return feed.Page{}, ctx.Err()
}

func numbered(n int) (id vstack.ChunkID) {
	binary.BigEndian.PutUint32(id[:], uint32(n)+1)
	return id
}

// largeView is a follower that has read one video of so many chunks.
func largeView(t *testing.T, store vstack.StoreID, chunks int) *catalog.Follower {
	t.Helper()
	placement := &vstack.PlacementMap{Version: 1, Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range placement.Groups {
		placement.Groups[i] = vstack.PGTargets{Epoch: 1, Targets: []vstack.StoreID{store}}
	}
	m := &vstack.Manifest{Version: 1, Video: vstack.VideoID{1}, Tracks: []vstack.Track{{Init: vstack.ChunkRef{ID: vstack.ChunkID{0xff}, Size: 10}}}}
	for n := range chunks {
		m.Tracks[0].Chunks = append(m.Tracks[0].Chunks, vstack.ChunkRef{Seq: uint32(n + 1), ID: numbered(n), Size: 100})
	}
	page := wire.FeedPage{Index: 1, Placement: placement, Videos: []wire.FeedVideo{{
		Video: vstack.Video{ID: m.Video, State: vstack.VideoPublished, Class: vstack.ClassHot}, Manifest: m,
	}}}
	f, err := catalog.Open(catalog.Config{Feed: onePage{page}, Stores: []vstack.StoreID{store}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, f.Close()); err != nil {
			t.Error(err)
		}
	})
	for changed := f.Changed(); !f.Synced(page.Index); changed = f.Changed() {
		<-changed
	}
	return f
}

// TestManyDamagedChunksAreNotLookedForOneByOne holds the search for damaged chunks' slots
// far below a look at the view for each: a disk that goes bad damages thousands at once.
func TestManyDamagedChunksAreNotLookedForOneByOne(t *testing.T) {
	const chunks, bad = 60_000, 6_000
	l, _ := loop(t, nil, nil)
	v := largeView(t, l.cfg.Disk.ID(), chunks)
	l.cfg.Catalog = Followed{v}
	for n := range bad {
		l.corrupt[numbered(n*(chunks/bad))] = struct{}{}
	}
	began := time.Now()
	slots := 0
	s := v.Snapshot()
	for pg := range vstack.PG(vstack.PlacementGroups) {
		_ = s.References(pg, func(catalog.Reference) bool { slots++; return true })
	}
	s.Close()
	look := time.Since(began)
	p, err := l.survey()
	if err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	wants := l.damaged(p)
	took := time.Since(began)
	if len(wants) != bad || slots != chunks+1 {
		t.Fatalf("%d of %d damaged chunks have a slot, in a view of %d", len(wants), bad, slots)
	}
	for _, w := range wants[:100] {
		if w.value.Size != 100 || w.value.Chunk != numbered(int(w.slot.Seq)-1) {
			t.Errorf("chunk %s is to be fetched as slot %s with %d bytes", w.value.Chunk, w.slot, w.value.Size)
		}
	}
	// A search of the view for each chunk would take thousands of looks, so this bound holds
	// on a machine that is busy with something else, too.
	if took > bad/20*look {
		t.Errorf("the slots of %d damaged chunks took %v, and one look at all %d slots %v", bad, took, slots, look)
	}
}
