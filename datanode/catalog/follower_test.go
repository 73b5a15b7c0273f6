package catalog

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is one entry of a fake feed.
type object struct {
	index     uint64
	video     *wire.FeedVideo
	upload    *vstack.Upload
	placement *vstack.PlacementMap
}

// feed answers like the metastore: state after since, in index order, in pages of
// two, and waits when there is nothing to tell.
type fakeFeed struct {
	mu      sync.Mutex
	objects []object
	down    bool
	wake    chan struct{}
	asked   []uint64
}

func newFeed() *fakeFeed { return &fakeFeed{wake: make(chan struct{})} }

// put adds or replaces an object; key tells which earlier one it replaces.
func (f *fakeFeed) put(o object, replaces func(object) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects = slices.DeleteFunc(f.objects, replaces)
	f.objects = append(f.objects, o)
	close(f.wake)
	f.wake = make(chan struct{})
}

func (f *fakeFeed) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	close(f.wake)
	f.wake = make(chan struct{})
}

// Follow answers as a member of the first release does.
func (f *fakeFeed) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	if req.Wait >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Wait)
		defer cancel()
	}
	page, err := f.page(ctx, req.Since)
	if errors.Is(err, context.DeadlineExceeded) {
		page, err = wire.FeedPage{Index: req.Since}, nil
	}
	return feed.FromJSON(&page, req), err
}

func (f *fakeFeed) page(ctx context.Context, since uint64) (wire.FeedPage, error) {
	for {
		f.mu.Lock()
		f.asked = append(f.asked, since)
		wake, down := f.wake, f.down
		page := wire.FeedPage{Index: since}
		n := 0
		for _, o := range f.objects {
			if o.index <= since {
				continue
			}
			if n++; n > 2 {
				page.More = true
				break
			}
			page.Index = o.index
			if o.video != nil {
				page.Videos = append(page.Videos, *o.video)
			}
			if o.upload != nil {
				page.Uploads = append(page.Uploads, *o.upload)
			}
			if o.placement != nil {
				page.Placement = o.placement
			}
		}
		f.mu.Unlock()
		switch {
		case down:
			return wire.FeedPage{}, errors.New("connection refused")
		case n > 0:
			return page, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return wire.FeedPage{}, ctx.Err()
		}
	}
}

func never(object) bool { return false }

var (
	mine  = vstack.StoreID{1}
	other = vstack.StoreID{2}
)

// placed assigns every group to stores, at an epoch.
func placed(version uint64, stores ...vstack.StoreID) *vstack.PlacementMap {
	m := &vstack.PlacementMap{Version: version, Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range m.Groups {
		m.Groups[i] = vstack.PGTargets{Epoch: vstack.Epoch(version), Targets: stores}
	}
	return m
}

func published(n byte, chunks int) *wire.FeedVideo {
	id := vstack.VideoID{n}
	m := &vstack.Manifest{Version: 1, Video: id, Tracks: []vstack.Track{{Init: vstack.ChunkRef{ID: vstack.ChunkID{n}, Size: 10}}}}
	for seq := range chunks {
		m.Tracks[0].Chunks = append(m.Tracks[0].Chunks, vstack.ChunkRef{Seq: uint32(seq + 1), ID: vstack.ChunkID{n, byte(seq + 1)}, Size: 100})
	}
	return &wire.FeedVideo{Video: vstack.Video{ID: id, State: vstack.VideoPublished, Class: vstack.ClassHot}, Manifest: m}
}

func follow(t *testing.T, f *fakeFeed, onPage func(feed.Page)) *Follower {
	t.Helper()
	return run(t, Config{Feed: f, OnPage: onPage})
}

// run opens a follower of one store and runs it until the test ends.
func run(t *testing.T, cfg Config) *Follower {
	t.Helper()
	fo, stop := start(t, cfg)
	t.Cleanup(stop)
	return fo
}

// start is run for a follower that the test stops.
func start(t *testing.T, cfg Config) (*Follower, func()) {
	t.Helper()
	if cfg.Stores == nil {
		cfg.Stores = []vstack.StoreID{mine}
	}
	cfg.Logger, cfg.RetryMin, cfg.RetryMax = slog.New(slog.DiscardHandler), time.Millisecond, 5*time.Millisecond
	cfg.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	fo, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fo.Run(ctx) }()
	return fo, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := fo.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// until waits for a condition of the view, woken by its changes.
func until(t *testing.T, fo *Follower, ok func() bool) {
	t.Helper()
	limit := time.After(10 * time.Minute) // a million chunks on a busy machine; it costs nothing when all is well
	for {
		changed := fo.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatal("condition not reached within ten minutes")
		}
	}
}

// count counts the slots of groups that a store is a target of.
func count(fo *Follower, s vstack.StoreID) (n int) {
	visit(fo, func(r Reference) {
		if fo.Placement().Groups[r.Slot.PG()].Index(s) >= 0 {
			n++
		}
	})
	return n
}

// visit calls f for all references.
func visit(fo *Follower, f func(Reference)) {
	s := fo.Snapshot()
	defer s.Close()
	for pg := range vstack.PG(vstack.PlacementGroups) {
		_ = s.References(pg, func(r Reference) bool { f(r); return true })
	}
}

func TestViewFollowsTheFeed(t *testing.T) {
	f := newFeed()
	f.put(object{index: 3, placement: placed(3, mine, other)}, never)
	f.put(object{index: 5, video: published(1, 4)}, never)
	f.put(object{index: 6, upload: &vstack.Upload{ID: vstack.UploadID{9}, State: vstack.UploadOpen}}, never)
	f.put(object{index: 8, video: published(2, 1)}, never)
	var mu sync.Mutex
	var pages []uint64
	fo := follow(t, f, func(p feed.Page) { mu.Lock(); defer mu.Unlock(); pages = append(pages, p.Index) })
	until(t, fo, func() bool { return fo.Synced(8) })

	if n := count(fo, mine); n != 7 { // two init chunks, five others
		t.Errorf("store holds %d slots, want 7", n)
	}
	if !fo.Open(vstack.UploadID{9}) {
		t.Error("the upload is not open")
	}
	visit(fo, func(r Reference) {
		if r.Class != vstack.ClassHot || r.Slot.PG() > vstack.PlacementGroups || r.Chunk[0] != r.Slot.Video[0] {
			t.Errorf("reference %+v", r)
		}
	})
	known, unknown := vstack.ChunkID{1, 3}, vstack.ChunkID{77}
	places := fo.Slots(map[vstack.ChunkID]struct{}{known: {}, unknown: {}})
	if want := (Place{Slot: vstack.Slot{Video: vstack.VideoID{1}, Seq: 3}, Size: 100, Class: vstack.ClassHot}); len(places) != 1 || places[known] != want {
		t.Errorf("slots of a chunk and of one that nothing names: %v, want %v for the first", places, want)
	}

	f.put(object{index: 9, video: &wire.FeedVideo{Video: vstack.Video{ID: vstack.VideoID{1}, State: vstack.VideoDeleted}}},
		func(o object) bool { return o.index == 5 })
	f.put(object{index: 10, upload: &vstack.Upload{ID: vstack.UploadID{9}, State: vstack.UploadPublished}},
		func(o object) bool { return o.index == 6 })
	until(t, fo, func() bool { return fo.Synced(10) })
	if n := count(fo, mine); n != 2 {
		t.Errorf("after the deletion the store holds %d slots, want 2", n)
	}
	if fo.Open(vstack.UploadID{9}) {
		t.Error("the published upload is still open")
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(pages) || pages[len(pages)-1] != 10 {
		t.Errorf("pages came as %v", pages)
	}
}

func TestPlacementThatComesLateBringsTheSlotsBack(t *testing.T) {
	f := newFeed()
	f.put(object{index: 1, video: published(1, 3)}, never)
	f.put(object{index: 2, placement: placed(2, other)}, never)
	fo := follow(t, f, nil)
	until(t, fo, func() bool { return fo.Synced(2) })
	if n := count(fo, mine); n != 0 {
		t.Fatalf("a store that is no target holds %d slots", n)
	}
	f.put(object{index: 4, placement: placed(4, other, mine)}, func(o object) bool { return o.placement != nil })
	until(t, fo, func() bool { return fo.Synced(4) && count(fo, mine) == 4 })
	if fo.Index() != 4 {
		t.Errorf("reached %d", fo.Index())
	}
}

func TestOutageFreezesTheView(t *testing.T) {
	f := newFeed()
	f.put(object{index: 1, placement: placed(1, mine)}, never)
	f.put(object{index: 2, video: published(1, 1)}, never)
	fo := follow(t, f, nil)
	until(t, fo, func() bool { return fo.Synced(2) })
	f.setDown(true)
	f.mu.Lock()
	before := len(f.asked)
	f.mu.Unlock()
	eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.asked) > before+3 })
	if n := count(fo, mine); n != 2 || !fo.Synced(2) {
		t.Errorf("during the outage: %d slots, synced %v", n, fo.Synced(2))
	}
	f.put(object{index: 3, video: published(2, 1)}, never)
	f.setDown(false)
	until(t, fo, func() bool { return fo.Synced(3) && count(fo, mine) == 4 })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("condition not reached within a minute")
		}
		time.Sleep(time.Millisecond) // the pace of the polling, not a guess at a duration
	}
}
