package datanode

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestACatalogMadeAnewDeletesNothing(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.DropGrace, cfg.ConvergeEvery = time.Millisecond, 10*time.Millisecond })
	u := c.open()
	ref := c.put(u, 1, random(1000), c.nodes...)
	c.publish(u, ref)
	n := c.nodes[0]
	waitFor(t, func() bool { return c.meta.report(n.id).Cluster == vstack.ClusterID{1} })
	n.stop()
	followed := n.server.follower.Index()
	var videos map[vstack.VideoID]wire.FeedVideo
	c.meta.set(func() { // all members lost their disks, and an operator started anew
		videos, c.meta.videos, c.meta.cluster = c.meta.videos, map[vstack.VideoID]wire.FeedVideo{}, vstack.ClusterID{2}
		c.meta.index++ // a feed that is held is answered
	})
	n.start()
	refused := func() bool {
		resp, body := n.get("/readyz?verbose", nil)
		return resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), vstack.ErrForeignCatalog.Error())
	}
	waitFor(t, refused)
	passes := func() {
		for range 5 {
			pass := n.server.stores[0].loop.Passes()
			waitFor(t, func() bool { return n.server.stores[0].loop.Passes() > pass })
		}
	}
	passes()
	if !n.has(ref) {
		t.Fatal("the only copies went because a catalog did not know them")
	}
	if at := n.server.follower.Index(); at != followed || at == 0 {
		t.Fatalf("the store follows a catalog that is not its own, from index %d to %d", followed, at)
	}
	// Its own comes back: what the other one named, and ended, must have left no trace.
	c.meta.set(func() {
		c.meta.videos, c.meta.cluster = videos, vstack.ClusterID{1}
		c.meta.index++
	})
	waitFor(t, func() bool { return !refused() && n.server.complete() })
	passes()
	if !n.has(ref) {
		t.Error("the chunk is gone")
	}
}

// TestARestoredCatalogDeletesNothingForAWhile: a backup that is not the newest lacks
// videos that were published, and the stores have the only copies.
func TestARestoredCatalogDeletesNothingForAWhile(t *testing.T) {
	c := newCluster(t, func(cfg *Config) {
		cfg.DropGrace, cfg.ConvergeEvery, cfg.RestoreGrace = time.Millisecond, 10*time.Millisecond, time.Hour
	})
	u := c.open()
	ref := c.put(u, 1, random(1000), c.nodes...)
	c.publish(u, ref)
	n := c.nodes[0]
	n.stop()
	c.meta.set(func() { // an old backup was restored
		c.meta.videos, c.meta.restored = map[vstack.VideoID]wire.FeedVideo{}, time.Now().Add(-time.Minute)
		clear(c.meta.uploads)
	})
	n.start()
	passes := func() {
		for range 5 {
			pass := n.server.stores[0].loop.Passes()
			waitFor(t, func() bool { return n.server.stores[0].loop.Passes() > pass })
		}
	}
	waitFor(t, n.server.complete)
	passes()
	if !n.has(ref) {
		t.Fatal("the only copies went because a backup did not know them")
	}
	c.meta.set(func() { c.meta.restored = time.Now().Add(-2 * time.Hour) })
	waitFor(t, func() bool { return !n.has(ref) }) // the time to find a newer one is over
}

func TestTheFollowedIndexIsNotedNowAndThen(t *testing.T) {
	fsys, dir, now := vfs.OS{}, t.TempDir(), time.Now()
	l, err := openLineage(fsys, dir, false)
	if err != nil || l.get() != (past{}) {
		t.Fatalf("a new store has a past: %+v, %v", l.get(), err)
	}
	follow := func(seen uint64, at time.Duration) past {
		t.Helper()
		if err := l.follow(vstack.ClusterID{7}, seen, now.Add(at)); err != nil {
			t.Fatal(err)
		}
		again, err := openLineage(fsys, dir, false)
		if err != nil {
			t.Fatal(err)
		}
		return again.get()
	}
	for _, step := range []struct {
		seen uint64
		at   time.Duration
		want uint64
	}{{5, 0, 5}, {9, time.Second, 5}, {11, lineageEvery, 11}, {3, 3 * lineageEvery, 11}} {
		if got := follow(step.seen, step.at); got.Seen != step.want || got.Cluster != (vstack.ClusterID{7}) {
			t.Errorf("after index %d at %v the file says %+v, want %d", step.seen, step.at, got, step.want)
		}
	}
}

// TestProcessesAreNamedInTheirOrder: whatever the clock says, by the note of the process before.
// Where the note cannot be written, a store starts all the same.
func TestProcessesAreNamedInTheirOrder(t *testing.T) {
	dir, first := t.TempDir(), time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	begin := func(now time.Time) *lineage {
		t.Helper()
		l, err := openLineage(vfs.OS{}, dir, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.begin(now); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if got := begin(first.Add(-1)); !got.began().Equal(first.Add(-1)) || !got.get().Cluster.IsZero() { // it belongs to no cluster yet
		t.Errorf("a new store's first process: %v, %+v", got.began(), got.get())
	}
	for _, c := range []struct{ now, want time.Time }{
		{first, first},
		{first.Add(-time.Hour), first.Add(1)},
		{first, first.Add(2)},
		{first.Add(time.Minute), first.Add(time.Minute)},
	} {
		l := begin(c.now)
		if got := l.began(); !got.Equal(c.want) {
			t.Errorf("at %v a process is named %v, want %v", c.now, got, c.want)
		}
		if err := l.follow(vstack.ClusterID{7}, 5, c.now.Add(2*lineageEvery)); err != nil { // what is written later keeps it
			t.Fatal(err)
		}
	}
	if got := begin(first).get(); got.Cluster != (vstack.ClusterID{7}) || got.Seen != 5 {
		t.Errorf("the name's note forgot the past: %+v", got)
	}
	full := filepath.Join(dir, "none")
	l, err := openLineage(vfs.OS{}, full, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.begin(first); err == nil || !l.began().Equal(first) {
		t.Errorf("a note that cannot be written: %v, and the process is named %v", err, l.began())
	}
}
