package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	meta "github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/news"
)

// world is the metastore's own catalog, which changes at random, as members see it that lag
// behind, and a follower that is asked to read it, step by step, and crashes.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	c     *meta.Catalog
	index uint64
	views []*meta.View // as the catalog was, one a change

	uploads []vstack.Upload
	videos  []vstack.VideoID // published, and not deleted
	born    map[vstack.VideoID]uint64
	dead    map[vstack.VideoID]uint64
	ids     int
	old     bool // members are of the first release

	fs      *vfs.MemFS
	hooking sync.Mutex // guards hook, and whatever it uses
	hook    func()
	f       *Follower
}

func newWorld(t *testing.T, seed uint64, old bool) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), fs: vfs.NewCrashableMem(), born: map[vstack.VideoID]uint64{}, dead: map[vstack.VideoID]uint64{}, old: old}
	var err error
	if w.c, err = meta.New(meta.Config{Fatal: func(err error) { t.Error(err) }, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	for h := range byte(5) {
		w.do(command.RegisterStores, command.RegisterStoresPayload{Host: vstack.HostID(fmt.Sprintf("h%d", h)),
			Stores: []command.StoreRegistration{{ID: vstack.StoreID{1 + h}, Addr: fmt.Sprintf("127.0.0.%d:1", h+1), Capacity: 1}}})
	}
	groups := make([][]vstack.StoreID, vstack.PlacementGroups)
	for pg := range groups {
		groups[pg] = w.targets()
	}
	w.do(command.AssignPlacement, command.AssignPlacementPayload{Base: w.index, Groups: groups, Cluster: vstack.ClusterID{9}})
	if !old {
		w.do(command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.LevelFragments})
	}
	w.start()
	return w
}

func (w *world) do(typ command.Type, payload any) *command.Result {
	w.index++
	b, err := command.Encode(typ, payload, "", time.Unix(int64(w.index), 0))
	if err != nil {
		w.t.Fatal(err)
	}
	res := w.c.Apply(&raft.Log{Index: w.index, Type: raft.LogCommand, Data: b}).(*command.Result)
	w.views = append(w.views, w.c.View())
	return res
}

// targets are three of the five stores; mine is one of them in most.
func (w *world) targets() (ids []vstack.StoreID) {
	for _, n := range w.rng.Perm(5)[:3] {
		ids = append(ids, vstack.StoreID{byte(n + 1)})
	}
	return ids
}

// change is one thing that people or stores do.
func (w *world) change() {
	pick := func(n int) int { return w.rng.IntN(n) }
	switch k := pick(12); {
	case k < 3:
		w.ids++
		id := byte(w.ids)
		res := w.do(command.OpenUpload, command.OpenUploadPayload{Upload: vstack.UploadID{2, id}, Video: vstack.VideoID{3, id}, Title: "x", Policy: vstack.PolicyAuto, Owner: vstack.ProposerID{1}})
		if res.Upload == nil {
			w.t.Fatalf("open: %+v", res)
		}
		w.uploads = append(w.uploads, *res.Upload)
	case k < 6 && len(w.uploads) > 0:
		n := pick(len(w.uploads))
		u := w.uploads[n]
		w.uploads = slices.Delete(w.uploads, n, n+1)
		if pick(4) == 0 {
			w.do(command.AbortUpload, command.AbortUploadPayload{Upload: u.ID})
			return
		}
		m := published(3, 1+pick(60)).Manifest
		m.Video, m.Duration = u.Video, 1
		m.Tracks[0].Kind, m.Tracks[0].Timescale, m.Tracks[0].Number = vstack.TrackVideo, 1000, uint16(pick(3))
		if res := w.do(command.Publish, command.PublishPayload{Upload: u.ID, Incarnation: u.Incarnation, Manifest: m}); res.Err() != nil {
			w.t.Fatal(res.Err())
		}
		w.videos, w.born[u.Video] = append(w.videos, u.Video), w.index
	case k == 6 && len(w.videos) > 0:
		n := pick(len(w.videos))
		w.do(command.DeleteVideo, command.DeleteVideoPayload{Video: w.videos[n]})
		w.dead[w.videos[n]] = w.index
		w.videos = slices.Delete(w.videos, n, n+1)
	case k == 7:
		var prepare command.PrepareEpochsPayload
		var activate command.ActivateEpochsPayload
		m := w.c.View().Placement()
		for _, pg := range w.rng.Perm(vstack.PlacementGroups)[:1+pick(20)] {
			g, to := m.Groups[pg], w.targets()
			prepare.Groups = append(prepare.Groups, command.EpochPreparation{PG: vstack.PG(pg), From: g.Epoch, Targets: to, Driver: to[0]})
			activate.Changes = append(activate.Changes, wire.EpochChange{PG: vstack.PG(pg), Epoch: g.Epoch + 1, Attempt: 1})
		}
		if res := w.do(command.PrepareEpochs, prepare); res.Err() != nil {
			w.t.Fatal(res.Err())
		}
		if res := w.do(command.ActivateEpochs, activate); len(res.Activated) == 0 {
			w.t.Fatalf("activate: %+v", res)
		}
	case k > 9 && len(w.videos) > 0 && !w.old:
		v, err := w.c.View().Video(w.videos[pick(len(w.videos))])
		if err != nil {
			w.t.Fatal(err)
		}
		next := v.Class.Next()
		step := command.StepClassPayload{Video: v.ID, From: v.Class, Index: v.ClassIndex, To: next[pick(len(next))]}
		if v.Class == vstack.ClassHot {
			step.Layout = vstack.Layout{Scheme: vstack.Scheme{K: 2, M: 1}, Head: uint32(pick(3)), Small: uint32(pick(2) * 50)}
		}
		if res := w.do(command.StepClass, step); res.Err() != nil {
			w.t.Fatal(res.Err())
		}
	case len(w.videos) > 0:
		title := strconv.Itoa(int(w.index))
		w.do(command.PatchVideo, command.PatchVideoPayload{Video: w.videos[pick(len(w.videos))], Title: &title})
	}
}

// Follow answers as some member, which may lag.
func (w *world) Follow(_ context.Context, req feed.Request) (feed.Page, error) {
	v := w.views[len(w.views)-1]
	if w.old {
		p, err := v.Feed(req.Since)
		if err != nil {
			return feed.Page{}, err
		}
		if req.Map == 0 && !req.References {
			return feed.Page{Index: req.Since, More: true, Cluster: p.Cluster, Placement: v.Placement()}, nil
		}
		return feed.FromJSON(&p, req), nil
	}
	if w.rng.IntN(2) == 0 {
		v = w.views[max(0, len(w.views)-1-w.rng.IntN(30))]
	}
	if v.FeedIndex() < req.Since || v.Applied() < req.Seen {
		return feed.Page{}, vstack.ErrCatalogLagging
	}
	page, err := news.Page(v, req, feed.Bounds{Objects: 1 + w.rng.IntN(4), References: 1 + w.rng.IntN(30), Slots: 1 + w.rng.IntN(100)})
	if err != nil {
		return feed.Page{}, err
	}
	b, err := page.Append(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return feed.Decode(b)
}

// start opens the follower on what the disk has.
func (w *world) start() {
	w.t.Helper()
	watched := errorfs.Wrap(w.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		w.hooking.Lock()
		defer w.hooking.Unlock()
		if w.hook != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			w.hook()
		}
		return nil
	}))
	var err error
	w.f, err = Open(Config{Feed: w, Dir: "view", FS: watched, Stores: []vstack.StoreID{mine}, Cluster: vstack.ClusterID{9},
		Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { w.t.Errorf("fatal: %v", err) }})
	if err != nil {
		w.t.Fatal(err)
	}
}

// step has the follower ask once.
func (w *world) step() {
	w.t.Helper()
	again := w.f.rereads() && w.rng.IntN(2) == 0
	if _, err := w.f.follow(w.t.Context(), again); err != nil && !errors.Is(err, vstack.ErrCatalogLagging) {
		w.t.Fatal(err)
	}
}

// onWrite has hook called before each write, or nothing; the disk has goroutines of its own.
func (w *world) onWrite(hook func()) {
	w.hooking.Lock()
	defer w.hooking.Unlock()
	w.hook = hook
}

// crash takes the disk as it is in the middle of a step, or between two, and starts again.
func (w *world) crash() {
	w.t.Helper()
	before := w.f.Index()
	var image *vfs.MemFS
	unsynced, rng := w.rng.IntN(101), rand.New(rand.NewPCG(w.rng.Uint64(), w.rng.Uint64()))
	take := func() {
		image = w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
	}
	if left := w.rng.IntN(6); left > 0 {
		w.onWrite(func() {
			if left--; left == 0 {
				take()
			}
		})
		w.step()
		w.onWrite(nil)
	}
	if image == nil {
		take()
	}
	after := w.f.Index()
	if err := w.f.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.fs = image
	w.start()
	if at := w.f.Index(); at != before && at != after {
		w.t.Fatalf("after a crash the view is at %d, and was at %d before the page and %d after it", at, before, after)
	}
}

// check holds the view to what it says of itself.
func (w *world) check() {
	w.t.Helper()
	s := w.f.Snapshot()
	defer s.Close()
	held := map[vstack.Slot]bool{}
	for _, pg := range s.Known() {
		if err := s.References(pg, func(r Reference) bool {
			held[r.Slot] = true
			if at, gone := w.dead[r.Slot.Video]; gone && at <= s.Index() {
				w.t.Errorf("video %v went at %d, and the view at %d has it", r.Slot.Video, at, s.Index())
			}
			return true
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	now := w.c.View()
	for _, id := range w.videos {
		m, _, err := now.Manifest(id)
		if err != nil {
			w.t.Fatal(err)
		}
		for slot := range m.Slots {
			if c := s.Complete(slot.PG()); c >= w.born[id] && !held[slot] {
				w.t.Fatalf("group %d is complete through %d of %d, and lacks %v of %d", slot.PG(), c, s.Index(), slot, w.born[id])
			}
		}
	}
}

// settle reads to the end and compares everything.
func (w *world) settle() {
	w.t.Helper()
	for n := 0; !w.f.Synced(w.c.View().FeedIndex()); n++ {
		if n > 10_000 {
			w.t.Fatal("the view does not come to the end of the feed")
		}
		w.step()
	}
	want, m := 0, w.f.Placement()
	s := w.f.Snapshot()
	defer s.Close()
	known := map[vstack.PG]bool{}
	for _, pg := range s.Known() {
		known[pg] = true
	}
	for pg, g := range m.Groups {
		if g.Index(mine) >= 0 && !known[vstack.PG(pg)] {
			w.t.Errorf("group %d is not known", pg)
		}
	}
	for _, id := range w.videos {
		manifest, _, err := w.c.View().Manifest(id)
		if err != nil {
			w.t.Fatal(err)
		}
		v, err := w.c.View().Video(id)
		if err != nil {
			w.t.Fatal(err)
		}
		kept := v.Layout.Kept(manifest)
		for slot, c := range manifest.Slots {
			if !known[slot.PG()] {
				continue
			}
			want++
			ref := Reference{Slot: slot, Chunk: c.ID, Size: c.Size, Class: v.Class, ClassIndex: v.ClassIndex}
			if v.Class != vstack.ClassHot && !kept.Has(slot.Track, slot.Seq, c.Size) {
				ref.Scheme = v.Layout.Scheme
			}
			var got []Reference
			found := false
			if err := s.ReferencesTo(c.ID, func(r Reference) bool {
				got = append(got, r)
				found = found || r == ref
				return !found
			}); err != nil || !found {
				w.t.Fatalf("slot %v is not found by its chunk as %+v: %+v, %v", slot, ref, got, err)
			}
		}
	}
	if n, _ := references(w.t, w.f); n != want {
		w.t.Errorf("the view has %d references, want %d", n, want)
	}
	for _, u := range w.uploads {
		if !w.f.Open(u.ID) {
			w.t.Errorf("upload %v is not open", u.ID)
		}
	}
	if len(w.f.open) != len(w.uploads) {
		w.t.Errorf("%d uploads are open, want %d", len(w.f.open), len(w.uploads))
	}
}

// TestViewFollowsAChangingCatalogThroughCrashes runs seeds of it; VSTACK_VIEW_SEEDS is how
// many, VSTACK_VIEW_SEED one of them.
func TestViewFollowsAChangingCatalogThroughCrashes(t *testing.T) {
	first, n := uint64(0), uint64(5)
	if v, err := strconv.ParseUint(os.Getenv("VSTACK_VIEW_SEEDS"), 10, 64); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("VSTACK_VIEW_SEED"), 10, 64); err == nil {
		first, n = v, v+1
	}
	for seed := first; seed < n; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := newWorld(t, seed, seed%4 == 3)
			for range 150 {
				switch k := w.rng.IntN(12); {
				case k < 5:
					w.change()
				case k < 11:
					w.step()
				default:
					w.crash()
				}
				if w.rng.IntN(4) == 0 {
					w.check()
				}
			}
			w.settle()
			w.check()
			if err := w.f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
