package metastore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

const (
	largeChunks = 100 // of each video
	// maxStall is how long a committed command may wait to be applied while a snapshot is
	// written.
	maxStall = 50 * time.Millisecond
)

// TestALargeCatalog fills a member with videos of 100 chunks and says what that costs:
// VSTACK_LARGE of them (100,000 take some 10 minutes and 8 GiB), or few, which shows only
// that it works.
func TestALargeCatalog(t *testing.T) {
	videos := 200
	full := os.Getenv("VSTACK_LARGE") != ""
	if full {
		var err error
		if videos, err = strconv.Atoi(os.Getenv("VSTACK_LARGE")); err != nil {
			t.Fatal(err)
		}
	}
	l := &large{t: t, videos: videos}
	file, index := l.fill(filepath.Join(t.TempDir(), "catalog"))
	runtime.GC() // of what filling it left
	c := newCluster(t, 1, func(cfg *Config) { cfg.SnapshotEvery = time.Hour })
	c.leader()
	l.restore(c, file, index)
	l.list(c.client())
	l.stalls(c, false)
	blocked := l.stalls(c, true)
	l.restart(c)
	if full && blocked > maxStall {
		t.Errorf("a committed command waited for up to %s while a snapshot was written, want at most %s", blocked, maxStall)
	}
}

// large is a catalog under measurement.
type large struct {
	t      *testing.T
	videos int
}

func (l *large) took(what string, start time.Time) {
	l.t.Logf("%-44s %s", what, time.Since(start).Round(100*time.Microsecond))
}

// fill makes the catalog from commands, as a log would, and writes its snapshot.
func (l *large) fill(path string) (file string, index uint64) {
	l.t.Helper()
	before := heap()
	store, err := blobs.New(blobs.Config{Dir: path + ".manifests", Fatal: func(err error) { l.t.Error(err) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := store.Open(); err != nil {
		l.t.Fatal(err)
	}
	defer store.Close()
	c, err := catalog.New(catalog.Config{Fatal: func(err error) { l.t.Error(err) }, Blobs: store})
	if err != nil {
		l.t.Fatal(err)
	}
	apply := func(typ command.Type, payload any) *command.Result {
		index++
		b, err := command.Encode(typ, payload, "", time.Unix(int64(index), 0))
		if err != nil {
			l.t.Fatal(err)
		}
		res := c.Apply(&raft.Log{Index: index, Type: raft.LogCommand, Data: b}).(*command.Result)
		if err := res.Err(); err != nil {
			l.t.Fatal(err)
		}
		return res
	}
	start := time.Now()
	apply(command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.NewestLevel})
	reg := command.RegisterStoresPayload{Host: "h1"}
	groups := make([][]vstack.StoreID, vstack.PlacementGroups)
	for n := range vstack.Acceptors {
		reg.Stores = append(reg.Stores, command.StoreRegistration{ID: storeID(0, n), Addr: fmt.Sprintf("127.0.0.1:%d", 8081+n), Capacity: 1 << 40})
		for pg := range groups {
			groups[pg] = append(groups[pg], storeID(0, n))
		}
	}
	apply(command.RegisterStores, reg)
	apply(command.AssignPlacement, command.AssignPlacementPayload{Base: index, Groups: groups})
	for n := range l.videos {
		var id [16]byte
		binary.BigEndian.PutUint64(id[:], uint64(n)<<16|1)
		m := testManifest(vstack.VideoID(id), largeChunks)
		up := apply(command.OpenUpload, command.OpenUploadPayload{Upload: vstack.UploadID(id), Video: vstack.VideoID(id), Policy: vstack.PolicyAuto,
			Title: fmt.Sprintf("Video %d of a large catalog", n), Owner: vstack.ProposerID{1}, Source: testSource(fmt.Sprint(n))}).Upload
		apply(command.Publish, command.PublishPayload{Upload: up.ID, Incarnation: up.Incarnation, Manifest: &m})
	}
	l.took(fmt.Sprintf("apply %d commands of %d videos", index, l.videos), start)
	l.t.Logf("%-44s %d MiB", "memory of the catalog", (heap()-before)>>20)
	start = time.Now()
	if err := store.Sync(); err != nil {
		l.t.Fatal(err)
	}
	l.took("bring the last manifests to the disk", start)
	l.t.Logf("%-44s %d MiB", "manifests on the disk", l.size(path+".manifests")>>20)
	start = time.Now()
	f, err := os.Create(path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if err := c.View().Write(f); err != nil {
		l.t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		l.t.Fatal(err)
	}
	l.took("write and sync a whole snapshot", start)
	return path, index
}

// size sums up a file, or the files below a directory.
func (l *large) size(path string) (n int64) {
	l.t.Helper()
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // compacted meanwhile
			return nil
		}
		n += info.Size()
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// heap is what is live.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// restore gives the snapshot to a member's Raft.
func (l *large) restore(c *cluster, path string, index uint64) {
	l.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Logf("%-44s %d MiB", "size of a whole snapshot", st.Size()>>20)
	lead, _ := c.members[0].node.Leading()
	start := time.Now()
	if err := c.members[0].node.Restore(l.t.Context(), lead.Term, index, st.Size(), f); err != nil {
		l.t.Fatal(err)
	}
	l.took("restore it through Raft", start)
}

// list reads everything over REST, once as a person's list and once as a store's feed.
func (l *large) list(cl *metaclient.Client) {
	l.t.Helper()
	ctx := l.t.Context()
	start, n := time.Now(), 0
	for cursor := ""; ; {
		page, err := cl.Videos(ctx, metaclient.ListOptions{Cursor: cursor, Limit: 1000})
		if err != nil {
			l.t.Fatal(err)
		}
		if n == 0 {
			l.took("list the first 1,000 videos", start)
		}
		n += len(page.Items)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	l.took(fmt.Sprintf("list all %d", n), start)
	start = time.Now()
	seen, since := 0, uint64(0)
	for {
		p, err := cl.Feed(ctx, since)
		if err != nil {
			l.t.Fatal(err)
		}
		seen, since = seen+len(p.Videos), p.Index
		if !p.More {
			break
		}
	}
	l.took(fmt.Sprintf("read the feed with %d manifests", seen), start)
	if n != l.videos || seen != l.videos {
		l.t.Errorf("%d videos are listed and %d in the feed, want %d", n, seen, l.videos)
	}
}

// stalls writes steadily for a while, or for as long as a snapshot takes, and returns the
// longest time for which a committed command waited to be applied. It tells of the longest
// time between two commands, too, in which the disk has its part.
func (l *large) stalls(c *cluster, snapshot bool) time.Duration {
	l.t.Helper()
	s := c.members[0].Server
	ctx, stop := context.WithCancel(l.t.Context())
	defer stop()
	page, _ := s.catalog.View().Videos("", 0, 16)
	var load sync.WaitGroup
	for i, v := range page {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				title := fmt.Sprintf("Title %d by %d", n, i)
				if _, err := s.proposals.Propose(context.WithoutCancel(ctx), command.PatchVideo, command.PatchVideoPayload{Video: v.ID, Title: &title}, "", ""); err != nil {
					l.t.Error(err)
					return
				}
			}
		})
	}
	var gaps []time.Duration
	var watch sync.WaitGroup
	watch.Go(func() {
		for last := time.Now(); ctx.Err() == nil; {
			select {
			case <-s.catalog.Changed():
				now := time.Now()
				gaps, last = append(gaps, now.Sub(last)), now
			case <-ctx.Done():
			}
		}
	})
	var blocked time.Duration
	watch.Go(func() { blocked = l.blocked(ctx, s) })
	start := time.Now()
	if snapshot {
		if err := s.node.Snapshot(); err != nil {
			l.t.Error(err)
		}
		l.took("take a snapshot while commands are applied", start)
		raft := filepath.Join(s.cfg.Dir, disk.Raft)
		names, err := filepath.Glob(filepath.Join(raft, "snapshots", "*", "state.bin"))
		if err != nil {
			l.t.Fatal(err)
		}
		smallest := int64(math.MaxInt64) // the one before it came as a whole
		for _, name := range names {
			smallest = min(smallest, l.size(name))
		}
		l.t.Logf("%-44s %.1f MiB", "size of a snapshot", float64(smallest)/(1<<20))
	} else {
		select {
		case <-time.After(min(time.Duration(l.videos)*time.Millisecond, 20*time.Second)):
		case <-ctx.Done():
		}
	}
	stop()
	load.Wait()
	watch.Wait()
	if len(gaps) == 0 { // a small catalog's snapshot is faster than a command
		gaps = append(gaps, time.Since(start))
	}
	slices.Sort(gaps)
	when := "undisturbed"
	if snapshot {
		when = "snapshot"
	}
	l.t.Logf("%-44s %s (p50 %s, p99 %s of %d)", "longest time between batches, "+when, gaps[len(gaps)-1].Round(10*time.Microsecond),
		gaps[len(gaps)/2].Round(10*time.Microsecond), gaps[len(gaps)*99/100].Round(10*time.Microsecond), len(gaps))
	l.t.Logf("%-44s %s", "committed and not applied, "+when, blocked.Round(10*time.Microsecond))
	return blocked
}

// blocked watches one committed index after the other until it is applied, and returns
// the longest wait.
func (l *large) blocked(ctx context.Context, s *Server) (longest time.Duration) {
	for ctx.Err() == nil {
		commit, seen := s.node.Status().Commit, time.Now()
		for s.catalog.View().Applied() < commit && ctx.Err() == nil {
			select {
			case <-s.catalog.Changed():
			case <-time.After(100 * time.Microsecond): // it may have changed before
			}
		}
		longest = max(longest, time.Since(seen))
		<-time.After(200 * time.Microsecond) // commands need the processor, too
	}
	return longest
}

// restart ends the member and starts it again: snapshot, and what the log has after it.
func (l *large) restart(c *cluster) {
	l.t.Helper()
	before, err := c.members[0].catalog.View().Checksum()
	if err != nil {
		l.t.Fatal(err)
	}
	start := time.Now()
	c.stop(0)
	l.took("stop", start)
	start = time.Now()
	c.start(0)
	l.took("start: read the snapshot", start)
	for time.Since(start) < 5*time.Minute && !c.members[0].Leading() {
		<-time.After(time.Millisecond)
	}
	l.took("start: until it leads, its log applied", start)
	after, err := c.members[0].catalog.View().Checksum()
	if err != nil || after != before {
		l.t.Errorf("after a restart the catalog has checksum %s, want %s: %v", after, before, err)
	}
}
