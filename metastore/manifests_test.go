package metastore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/raftnode/disk"
	"github.com/vstack/vstack/metastore/standin"
)

// raftDir is where a member's log, snapshots and manifests are.
func (c *cluster) raftDir(i int) string { return filepath.Join(c.dir, c.peers[i].ID, disk.Raft) }

// apart counts the manifests that a member's newest snapshot names and does not bring.
func (c *cluster) apart(i int, key *sealed.Key) (n int) {
	c.t.Helper()
	snaps, err := disk.OpenSnapshots(c.raftDir(i), key, hclog.NewNullLogger())
	if err != nil {
		c.t.Fatal(err)
	}
	all, err := snaps.List()
	if err != nil || len(all) == 0 {
		c.t.Fatalf("%d snapshots, %v", len(all), err)
	}
	_, r, err := snaps.Open(all[0].ID)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Close()
	if err := form.Named(r, func(blobs.Digest, uint32) error { n++; return nil }); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// snapshots has members take one each.
func (c *cluster) snapshots(members ...int) {
	c.t.Helper()
	for _, i := range members {
		if err := c.members[i].node.Snapshot(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// caughtUp waits until members have applied what the client has seen acknowledged.
func (c *cluster) caughtUp(index uint64) {
	c.t.Helper()
	for _, m := range c.members {
		if m != nil {
			c.eventually("a member that catches up", func() bool { return m.catalog.View().Applied() >= index })
		}
	}
}

// TestManifestsLieBesideTheSnapshots goes through a raise with encrypted members, a member that
// is sent a snapshot, restarts, and a film that is deleted.
func TestManifestsLieBesideTheSnapshots(t *testing.T) {
	t.Parallel()
	keys := map[string]*sealed.Key{"h1": sealed.Passing(), "h2": sealed.Passing(), "h3": sealed.Passing()}
	c := newCluster(t, 3, func(cfg *Config) {
		calm(cfg)
		cfg.Key, cfg.TrailingLogs, cfg.SnapshotEvery = keys[cfg.ID], 1, time.Hour
	})
	key := func(i int) *sealed.Key { return keys[c.peers[i].ID] }
	hosts := c.levelBeats(vstack.LevelKeys)
	cl, ctx := c.client(), t.Context()
	films := make([]vstack.Video, 3)
	film := func(n int) {
		t.Helper()
		v, _, err := publish(ctx, cl, fmt.Sprintf("film %d", n), 3+n)
		if err != nil {
			t.Fatal(err)
		}
		films[n] = v
	}
	film(0)
	c.caughtUp(films[0].Index)
	c.snapshots(0, 1, 2)
	for i := range c.members {
		if n := c.apart(i, key(i)); n != 0 {
			t.Errorf("below its level member %d has %d manifests apart, where an older program reads", i, n)
		}
	}
	for h := range hosts {
		hb := heartbeatOf(h, 2)
		hb.Level = vstack.NewestLevel
		c.heartbeat(hosts[h], hb)
	}
	c.eventually("the raise", func() bool { _, err := cl.RaiseLevel(ctx, vstack.NewestLevel); return err == nil })
	film(1)
	c.caughtUp(films[1].Index)
	c.snapshots(0, 1, 2)
	for i := range c.members {
		if n := c.apart(i, key(i)); n != 2 {
			t.Errorf("member %d has %d manifests apart, want 2", i, n)
		}
	}

	away := (c.leader() + 1) % 3
	c.stop(away)
	film(2)
	c.caughtUp(films[2].Index)
	for i := range c.members {
		if i != away {
			c.snapshots(i) // the log below it goes, but for one entry
		}
	}
	c.start(away)
	c.caughtUp(films[2].Index)
	if n := c.apart(away, key(away)); n != 0 {
		t.Errorf("%d manifests are apart of a snapshot that another member sent", n)
	}
	for range 2 { // from the snapshot that was sent, and from its own
		for i := range c.members {
			for n, v := range films {
				m, _, err := c.members[i].catalog.View().Manifest(v.ID)
				if err != nil || len(m.Tracks[0].Chunks) != 3+n {
					t.Errorf("member %d, film %d: %v", i, n, err)
				}
			}
		}
		sameChecksum(t, c)
		c.stop(away)
		c.start(away)
		c.leader()
		c.caughtUp(films[2].Index)
		c.eventually("a snapshot of its own", func() bool { return c.members[away].node.Snapshot() == nil })
	}
	c.deleted(films[0], away)
	for i := range c.members {
		c.stop(i)
		if err := standin.Check(filepath.Join(c.dir, c.peers[i].ID), key(i)); err != nil {
			t.Error(err)
		}
		c.sealed(i)
	}
}

// deleted deletes a film, and wants a member to drop its manifest, and not before no snapshot that
// it keeps names it.
func (c *cluster) deleted(v vstack.Video, i int) {
	c.t.Helper()
	cl, m := c.client(), c.members[i]
	_, digest, err := m.catalog.View().Manifest(v.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cl.DeleteVideo(c.t.Context(), v.ID); err != nil {
		c.t.Fatal(err)
	}
	for round := range 3 {
		title := fmt.Sprintf("round %d", round)
		other, _, err := publish(c.t.Context(), cl, title, 1)
		if err != nil {
			c.t.Fatal(err)
		}
		c.caughtUp(other.Index)
		_, err = m.blobs.Get(digest)
		switch kept := round < 2; {
		case kept && err != nil:
			c.t.Errorf("after %d snapshots a manifest is gone that one of them may name: %v", round, err)
		case !kept && !errors.Is(err, vstack.ErrManifestsLost):
			c.t.Errorf("after %d snapshots the manifest of a deleted film is still there: %v", round, err)
		}
		c.snapshots(i)
	}
}

// sealed wants no manifest to be readable in a member's files.
func (c *cluster) sealed(i int) {
	c.t.Helper()
	files := 0
	err := filepath.WalkDir(c.raftDir(i), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if files++; bytes.Contains(b, []byte("avc1.640028")) {
			c.t.Errorf("%s is readable", path)
		}
		return err
	})
	if err != nil || files < 8 {
		c.t.Errorf("%d files, %v", files, err)
	}
}

// TestManifestsThatAreOlderThanTheSnapshotAreRefused gives a member what it had before.
func TestManifestsThatAreOlderThanTheSnapshotAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(cfg *Config) { calm(cfg); cfg.SnapshotEvery = time.Hour })
	c.levelBeats(vstack.NewestLevel)
	cl := c.client()
	if _, _, err := publish(t.Context(), cl, "first", 2); err != nil {
		t.Fatal(err)
	}
	c.snapshots(0)
	c.stop(0)
	now := filepath.Join(c.raftDir(0), disk.Manifests)
	old := filepath.Join(c.dir, "old")
	if err := os.CopyFS(old, os.DirFS(now)); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	c.leader()
	v, _, err := publish(t.Context(), cl, "second", 2)
	if err != nil {
		t.Fatal(err)
	}
	c.snapshots(0)
	c.stop(0)
	kept := now + ".kept"
	if err := os.Rename(now, kept); err != nil {
		t.Fatal(err)
	}
	for what, from := range map[string]string{"older": old, "empty": ""} {
		t.Run(what, func(t *testing.T) {
			if from != "" {
				if err := os.CopyFS(now, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
			}
			if err := standin.Check(filepath.Join(c.dir, c.peers[0].ID), nil); !errors.Is(err, vstack.ErrManifestsLost) {
				t.Errorf("looked at beforehand: %v", err)
			}
			cfg := c.config(0, &member{})
			cfg.Logger = slog.New(slog.DiscardHandler)
			s, err := Open(context.Background(), cfg)
			if err == nil {
				_ = s.Close()
			}
			if !errors.Is(err, vstack.ErrManifestsLost) {
				t.Errorf("opened: %v", err)
			}
			if err := os.RemoveAll(now); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := os.Rename(kept, now); err != nil {
		t.Fatal(err)
	}
	c.start(0)
	c.leader()
	if m, err := cl.Manifest(t.Context(), v.ID); err != nil || len(m.Tracks[0].Chunks) != 2 {
		t.Errorf("with its own again: %v", err)
	}
}

// TestAManifestThatCannotBeReadEndsTheMember: it is not started again with what it has left.
func TestAManifestThatCannotBeReadEndsTheMember(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(cfg *Config) { calm(cfg); cfg.SnapshotEvery = time.Hour })
	c.levelBeats(vstack.NewestLevel)
	cl := c.client()
	v, _, err := publish(t.Context(), cl, "first", 2)
	if err != nil {
		t.Fatal(err)
	}
	m := c.members[0]
	_, digest, err := m.catalog.View().Manifest(v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.blobs.Put(blobs.Digest(digest), []byte("\x02\x00\x00\x00{}")); err != nil { // what a disk might make of it
		t.Fatal(err)
	}
	if _, _, err := m.catalog.View().Manifest(v.ID); !errors.Is(err, vstack.ErrManifestsLost) {
		t.Errorf("it is read: %v", err)
	}
	if _, err := m.catalog.View().Feed(0); !errors.Is(err, vstack.ErrManifestsLost) {
		t.Errorf("it is left out of the feed: %v", err)
	}
	if err := m.died(); !errors.Is(err, vstack.ErrManifestsLost) {
		t.Errorf("the process would go on: %v", err)
	}
	m.mu.Lock()
	m.fatal = nil // it was meant
	m.mu.Unlock()
	c.stop(0)
	dir := filepath.Join(c.dir, c.peers[0].ID)
	if err := standin.Check(dir, nil); !errors.Is(err, vstack.ErrManifestsLost) {
		t.Errorf("the next process begins with it: %v", err)
	}
	if s, err := Open(context.Background(), c.config(0, &member{})); !errors.Is(err, vstack.ErrManifestsLost) {
		if err == nil {
			_ = s.Close()
		}
		t.Errorf("the next process begins with it: %v", err)
	}
}
