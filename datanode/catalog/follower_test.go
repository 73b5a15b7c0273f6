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
type feed struct {
	mu      sync.Mutex
	objects []object
	down    bool
	wake    chan struct{}
	asked   []uint64
}

func newFeed() *feed { return &feed{wake: make(chan struct{})} }

// put adds or replaces an object; key tells which earlier one it replaces.
func (f *feed) put(o object, replaces func(object) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects = slices.DeleteFunc(f.objects, replaces)
	f.objects = append(f.objects, o)
	close(f.wake)
	f.wake = make(chan struct{})
}

func (f *feed) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	close(f.wake)
	f.wake = make(chan struct{})
}

func (f *feed) Feed(ctx context.Context, since uint64) (wire.FeedPage, error) {
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

func follow(t *testing.T, f *feed, onPage func(wire.FeedPage)) *Follower {
	t.Helper()
	fo, err := New(Config{Feed: f, Stores: []vstack.StoreID{mine}, OnPage: onPage,
		Logger: slog.New(slog.DiscardHandler), RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fo.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return fo
}

// until waits for a condition of the view, woken by its changes.
func until(t *testing.T, fo *Follower, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		changed := fo.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatal("condition not reached within a minute")
		}
	}
}

func count(fo *Follower, s vstack.StoreID) (n int) {
	fo.Holdings(s, func(Holding) bool { n++; return true })
	return n
}

func TestViewFollowsTheFeed(t *testing.T) {
	f := newFeed()
	f.put(object{index: 3, placement: placed(3, mine, other)}, never)
	f.put(object{index: 5, video: published(1, 4)}, never)
	f.put(object{index: 6, upload: &vstack.Upload{ID: vstack.UploadID{9}, State: vstack.UploadOpen}}, never)
	f.put(object{index: 8, video: published(2, 1)}, never)
	var mu sync.Mutex
	var pages []uint64
	fo := follow(t, f, func(p wire.FeedPage) { mu.Lock(); defer mu.Unlock(); pages = append(pages, p.Index) })
	until(t, fo, func() bool { return fo.Synced(8) })

	if n := count(fo, mine); n != 7 { // two init chunks, five others
		t.Errorf("store holds %d slots, want 7", n)
	}
	if !fo.Open(vstack.UploadID{9}) {
		t.Error("the upload is not open")
	}
	fo.Holdings(other, func(h Holding) bool {
		if h.Index != 1 || h.Class != vstack.ClassHot {
			t.Errorf("holding of the second target: %+v", h)
		}
		return true
	})
	slot, size, ok := fo.Slot(vstack.ChunkID{1, 3})
	if want := (vstack.Slot{Video: vstack.VideoID{1}, Seq: 3}); !ok || slot != want || size != 100 {
		t.Errorf("slot of a chunk: %v %d %v", slot, size, ok)
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
	if fo.Applied() != 4 {
		t.Errorf("applied is %d", fo.Applied())
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

func TestOlderMemberDoesNotTurnTheViewBack(t *testing.T) {
	fo, err := New(Config{Feed: newFeed(), Stores: []vstack.StoreID{mine}})
	if err != nil {
		t.Fatal(err)
	}
	since := fo.apply(wire.FeedPage{Index: 7, Placement: placed(7, mine)}, 0)
	if got := fo.apply(wire.FeedPage{Index: 4, Placement: placed(4, other)}, since); got != 7 {
		t.Errorf("goes on from %d", got)
	}
	if fo.Applied() != 7 || fo.Placement().Version != 7 {
		t.Errorf("applied %d, placement of %d", fo.Applied(), fo.Placement().Version)
	}
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
