package catalog

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// kept is a view on a disk in memory, of one video of 200 chunks, with what was asked for.
type kept struct {
	*script
	fs *vfs.MemFS
}

func keep(t *testing.T) *kept {
	t.Helper()
	k := &kept{fs: vfs.NewMem()}
	fo, stop := k.start(t, Config{})
	k.answer(feed.Page{At: 2, More: true, Cluster: vstack.ClusterID{4}, Placement: placed(2, mine)})
	k.answer(feed.Page{Index: 7, At: 7, Cluster: vstack.ClusterID{4}, Videos: []feed.Video{refs(1, 199)}, Uploads: []vstack.Upload{
		{ID: vstack.UploadID{1}, Video: vstack.VideoID{1}, State: vstack.UploadPublished, Incarnation: 1, Index: 3},
		{ID: vstack.UploadID{2}, Video: vstack.VideoID{2}, State: vstack.UploadOpen, Owner: vstack.ProposerID{8}, Incarnation: 2, Index: 6},
	}})
	<-k.asked
	if !fo.Synced(7) {
		t.Error("not synced")
	}
	stop()
	return k
}

// start opens the view again, with a feed that the test answers.
func (k *kept) start(t *testing.T, cfg Config) (*Follower, func()) {
	t.Helper()
	k.script = &script{pages: make(chan feed.Page), asked: make(chan feed.Request)}
	cfg.Feed, cfg.Dir, cfg.FS = k.script, "view", k.fs
	return start(t, cfg)
}

// TestARestartReadsWhatIsNew: and tells acceptors what they have to know besides.
func TestARestartReadsWhatIsNew(t *testing.T) {
	k := keep(t)
	var mu sync.Mutex
	var told Start
	fo, stop := k.start(t, Config{Cluster: vstack.ClusterID{4}, Seen: 7, OnStart: func(s Start) {
		mu.Lock()
		defer mu.Unlock()
		told = s
		for n, want := range map[byte]vstack.UploadState{1: vstack.UploadPublished, 2: vstack.UploadOpen, 3: ""} {
			if u, known := s.Upload(vstack.UploadID{n}); u.State != want || known != (want != "") {
				t.Errorf("upload %d is %q, known %v; want %q", n, u.State, known, want)
			}
		}
	}})
	defer stop()
	req := <-k.asked
	if req.Since != 7 || req.Have != 7 || req.Seen != 7 || req.Map != 2 || !req.Groups.Has(127) || req.Wait >= 0 {
		t.Errorf("a restart asks %+v", req)
	}
	if n, complete := references(t, fo); n != 200 || complete != 7 || !fo.Synced(7) || !fo.Open(vstack.UploadID{2}) || fo.Open(vstack.UploadID{1}) {
		t.Errorf("it has %d references, complete through %d", n, complete)
	}
	mu.Lock()
	defer mu.Unlock()
	if told.Index != 7 || told.Placement.Version != 2 || len(told.Uploads) != 2 ||
		told.Uploads[1] != (vstack.Upload{ID: vstack.UploadID{2}, Video: vstack.VideoID{2}, State: vstack.UploadOpen, Owner: vstack.ProposerID{8}, Incarnation: 2, Index: 6}) {
		t.Errorf("acceptors were told %+v", told)
	}
}

// TestAStoreThatIsNewHereReadsItsGroups: those that the view knows are not read again.
func TestAStoreThatIsNewHereReadsItsGroups(t *testing.T) {
	k := &kept{fs: vfs.NewMem()}
	_, stop := k.start(t, Config{})
	m := placed(2, mine)
	m.Groups[9].Targets = []vstack.StoreID{other}
	k.answer(feed.Page{At: 2, More: true, Placement: m})
	k.answer(feed.Page{Index: 7, At: 7})
	<-k.asked
	stop()
	fo, stop := k.start(t, Config{Stores: []vstack.StoreID{mine, other}, Known: []vstack.PG{3}})
	defer stop()
	k.answer(feed.Page{Index: 7, At: 7})
	req := <-k.asked
	var want feed.Groups
	want.Add(9)
	if req.Groups != want || req.Since != 0 || !req.References || fo.Synced(7) {
		t.Errorf("asks %+v", req)
	}
}

// TestAViewThatMustNotBeTrustedIsReadAnew: whatever is wrong with it.
func TestAViewThatMustNotBeTrustedIsReadAnew(t *testing.T) {
	spoil := func(match string) func(*testing.T, *kept) {
		return func(t *testing.T, k *kept) {
			names, err := k.fs.List("view")
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, name := range names {
				if strings.Contains(name, match) {
					found = true
					f, err := k.fs.Create("view/"+name, vfs.WriteCategoryUnspecified)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := f.Write([]byte(strings.Repeat("rot", 5000))); err != nil {
						t.Fatal(err)
					}
					if err := f.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !found {
				t.Fatalf("no file %s among %v", match, names)
			}
		}
	}
	state := func(body string) func(*testing.T, *kept) {
		return func(t *testing.T, k *kept) {
			k.rows(t, func(db *disk) error { return db.Set([]byte{rowState}, []byte(body), pebble.Sync) })
		}
	}
	for name, tc := range map[string]struct {
		cfg   Config
		spoil func(*testing.T, *kept)
	}{
		"of another cluster":       {cfg: Config{Cluster: vstack.ClusterID{5}}},
		"older than the stores":    {cfg: Config{Seen: 8}},
		"of another format":        {spoil: state(`{"format":2,"index":7,"whole":7,"seen":7}`)},
		"complete beyond its end":  {spoil: state(`{"format":1,"index":7,"whole":8,"seen":8}`)},
		"with a state of no sense": {spoil: state(`rot`)},
		"with a rotten manifest":   {spoil: spoil("MANIFEST")},
		"with a rotten options":    {spoil: spoil("OPTIONS")},
		"with a rotten table":      {spoil: spoil(".sst")},
		"with an upload of no sense": {spoil: func(t *testing.T, k *kept) {
			k.rows(t, func(db *disk) error { return db.Set(uploadKey(vstack.UploadID{1}), []byte("rot"), pebble.Sync) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			k := keep(t)
			k.rows(t, func(db *disk) error { return db.Flush() })
			if tc.spoil != nil {
				tc.spoil(t, k)
			}
			tc.cfg.Known = []vstack.PG{5}
			fo, stop := k.start(t, tc.cfg)
			defer stop()
			req := <-k.asked
			if req.Since != 0 || req.Have != 0 || req.Map != 0 || !req.Groups.Has(5) || req.Groups.Has(6) || req.References {
				t.Errorf("asks %+v", req)
			}
			if n, complete := references(t, fo); n != 0 || complete != 0 || fo.Synced(1) {
				t.Errorf("it has %d references, complete through %d", n, complete)
			}
		})
	}
}

// rows changes the rows of a view that is closed.
func (k *kept) rows(t *testing.T, f func(*disk) error) {
	t.Helper()
	db, err := openDisk(k.fs, "view", pebble.DefaultLogger)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(db), db.close()); err != nil {
		t.Fatal(err)
	}
}

// TestReferencesThatCannotBeReadAreNotAbsent: they end the process, and the next start reads
// them anew.
func TestReferencesThatCannotBeReadAreNotAbsent(t *testing.T) {
	for name, spoil := range map[string]func(*disk, []byte) error{
		"one is gone":      func(db *disk, key []byte) error { return db.Delete(key, pebble.Sync) },
		"one has no sense": func(db *disk, key []byte) error { return db.Set(key, []byte("rot"), pebble.Sync) },
		"its video is gone": func(db *disk, key []byte) error {
			return db.Delete(videoKey(vstack.VideoID{1}), pebble.Sync)
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := keep(t)
			slot := vstack.Slot{Video: vstack.VideoID{1}, Seq: 3}
			k.rows(t, func(db *disk) error { return spoil(db, referenceKey(slot.PG(), slot)) })
			fo, err := Open(Config{Feed: &script{}, Dir: "view", FS: k.fs, Stores: []vstack.StoreID{mine}, Fatal: func(err error) {
				if !errors.Is(err, vstack.ErrCorrupt) {
					t.Errorf("fatal: %v", err)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			s := fo.Snapshot()
			if err := s.References(slot.PG(), func(Reference) bool { return true }); !errors.Is(err, vstack.ErrCorrupt) {
				t.Errorf("answered %v", err)
			}
			s.Close()
			if fo.Synced(1) {
				t.Error("it calls itself complete")
			}
			if err := fo.Close(); err != nil {
				t.Fatal(err)
			}
			_, stop := k.start(t, Config{})
			defer stop()
			if req := <-k.asked; req.Since != 0 {
				t.Errorf("the next start goes on from %d", req.Since)
			}
		})
	}
}

// TestACatalogThatWasRestoredIsReadAnew: a view of before has videos that it does not name.
func TestACatalogThatWasRestoredIsReadAnew(t *testing.T) {
	k := keep(t)
	fo, stop := k.start(t, Config{})
	defer stop()
	<-k.asked
	at := time.Unix(1_700_000_000, 0)
	if err := fo.Restored(at); err != nil {
		t.Fatal(err)
	}
	if n, complete := references(t, fo); n != 0 || complete != 0 || fo.Synced(1) || fo.Open(vstack.UploadID{2}) {
		t.Errorf("it has %d references, complete through %d", n, complete)
	}
	// The question of before, which nobody has answered, is given up.
	req := k.answer(feed.Page{Index: 20, At: 20, Cluster: vstack.ClusterID{4}, Videos: []feed.Video{refs(2, 9)}})
	if req.Since != 0 || req.Have != 0 || !req.Groups.Has(11) {
		t.Errorf("asks %+v", req)
	}
	<-k.asked
	if err := fo.Restored(at); err != nil {
		t.Fatal(err)
	}
	if n, complete := references(t, fo); n != 10 || complete != 20 {
		t.Errorf("after it: %d references, complete through %d", n, complete)
	}
}
