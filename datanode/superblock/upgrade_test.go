package superblock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vstack/vstack/datanode/superblock/batch"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// openFirst opens a store as it is, whatever version the tests run for.
func openFirst(t *testing.T, cfg Config) *Store {
	t.Helper()
	cfg.Encrypt = false
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func versionsOf(s *Store) (out []format.Version) {
	for _, id := range s.fileIDs() {
		out = append(out, s.files[id].version)
	}
	return out
}

func TestUpgrade(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	s := openFirst(t, cfg)
	var all [][]byte
	put := func(n int) {
		for range n {
			data := payload(uint64(len(all)+1), 20_000+len(all))
			rec := voted(data, slotOf(1, uint32(len(all)+1)), 0)
			rec.Leaves = vstack.LeavesOf(data)
			mustAppend(t, s, rec)
			all = append(all, data)
		}
	}
	put(3)
	for range 2 {
		if err := s.Upgrade(context.Background(), format.V2); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Upgrade(context.Background(), format.V1); err != nil || s.appends() != format.V2 {
		t.Errorf("a lower version: %v, appends in %d", err, s.appends())
	}
	if err := s.Upgrade(context.Background(), format.Newest+1); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a version that nobody knows: %v", err)
	}
	if got := fmt.Sprint(versionsOf(s)); got != "[1]" {
		t.Errorf("files of versions %s before anything was appended", got)
	}
	put(3)
	if got := fmt.Sprint(versionsOf(s)); got != "[1 2]" {
		t.Errorf("files of versions %s, want a new one of 2", got)
	}
	check := func() {
		t.Helper()
		for i, data := range all {
			got := make([]byte, len(data))
			if _, err := s.ReadAt(context.Background(), vstack.ChunkIDOf(data), got, 0); err != nil || !bytes.Equal(got, data) {
				t.Errorf("chunk %d: %v", i, err)
			}
			if e, _ := s.ix.Chunk(vstack.ChunkIDOf(data)); e.HasLeaves() != (i >= 3) {
				t.Errorf("chunk %d has a table: %v", i, e.HasLeaves())
			}
		}
		if n := len(stateOf(s)); n != len(all) {
			t.Errorf("%d votes, want %d", n, len(all))
		}
		if len(s.Findings()) != 0 {
			t.Errorf("findings: %+v", s.Findings())
		}
	}
	check()
	closeStore(t, s)
	s = openFirst(t, cfg)
	defer closeStore(t, s)
	check()
	put(1)
	check()
	if r, err := s.Scrub(context.Background(), 0, func(vstack.ChunkID, vstack.Piece, error) {}); err != nil || r.Chunks != 7 || r.Rot != 0 {
		t.Errorf("scrubbed %+v, %v", r, err)
	}
}

// TestACrashDuringAnUpgradeLosesNothing ends the store at each call of the disk from the
// upgrade on. Whatever STORE says then, all that was acknowledged is there, no file is of a
// version above it, and the store goes on.
func TestACrashDuringAnUpgradeLosesNothing(t *testing.T) {
	for _, step := range [][2]format.Version{{format.V1, format.V2}, {format.V2, format.V3}, {format.V1, format.V3}, {format.V1, format.V4}, {format.V3, format.V4}} {
		t.Run(fmt.Sprintf("%d to %d", step[0], step[1]), func(t *testing.T) { crashUpgrade(t, step[0], step[1]) })
	}
}

func crashUpgrade(t *testing.T, from, to format.Version) {
	before, after := payload(1, 5_001), payload(2, 70_001)
	failed := 0
	for nth := 1; ; nth++ {
		disk := vfs.NewCrash()
		fault := vfs.NewFault(disk)
		cfg := testConfig(t, fault, "/store")
		cfg.Fatal = func(error) {}
		s := openFirst(t, cfg)
		if err := s.Upgrade(context.Background(), from); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, stored(before))
		fault.Set(vfs.Rule{Op: "change", Nth: nth, Sticky: true, Err: syscall.EIO})
		upgradeErr := s.Upgrade(context.Background(), to)
		rec := stored(after)
		rec.Leaves = vstack.LeavesOf(after)
		recs := []Record{rec}
		if to >= format.V3 {
			recs = append(recs, fragment(after, 3, slotOf(1, 1)))
		}
		_, appendErr := s.Append(context.Background(), recs...)
		hit := fault.Fired() > 0
		crashed := disk.Crash(rand.New(rand.NewPCG(uint64(nth), 1))) // the process is gone
		_ = s.Close()
		cfg.FS, cfg.Fatal = crashed, func(err error) { t.Errorf("call %d: fatal: %v", nth, err) }
		s = openFirst(t, cfg)
		for _, v := range versionsOf(s) {
			if v > s.appends() {
				t.Errorf("call %d: a file of version %d, STORE says %d", nth, v, s.appends())
			}
		}
		if upgradeErr == nil && s.appends() != to {
			t.Errorf("call %d: an upgrade that was acknowledged is gone", nth)
		}
		if _, ok := s.Lookup(vstack.ChunkIDOf(before)); !ok {
			t.Errorf("call %d: a chunk from before is gone", nth)
		}
		if _, ok := s.Lookup(vstack.ChunkIDOf(after)); appendErr == nil && !ok {
			t.Errorf("call %d: a chunk that was acknowledged is gone", nth)
		}
		if n := len(s.Fragments(vstack.ChunkID{}, 10)); appendErr == nil && n != len(recs)-1 {
			t.Errorf("call %d: %d fragments, %d were acknowledged", nth, n, len(recs)-1)
		}
		if err := s.Upgrade(context.Background(), to); err != nil {
			t.Errorf("call %d: upgrade again: %v", nth, err)
		}
		mustAppend(t, s, rec)
		if _, ok := s.Lookup(vstack.ChunkIDOf(after)); !ok || s.LostRecords() {
			t.Errorf("call %d: stored %v, findings %+v", nth, ok, s.Findings())
		}
		closeStore(t, s)
		if !hit {
			break
		}
		failed++
	}
	if failed < 5 {
		t.Errorf("only %d calls failed", failed)
	}
	t.Logf("failed at each of %d calls", failed)
}

// TestAppendsAndAnUpgradeAtOnce: a batch that was encoded before the upgrade is written as
// its file wants it.
func TestAppendsAndAnUpgradeAtOnce(t *testing.T) {
	s := openFirst(t, testConfig(t, vfs.NewCrash(), "/store"))
	defer closeStore(t, s)
	errs := make(chan error)
	for w := range 4 {
		go func() {
			var err error
			for i := 0; i < 30 && err == nil; i++ {
				data := payload(uint64(w*100+i+1), 3_001)
				rec := stored(data)
				rec.Leaves = vstack.LeavesOf(data)
				_, err = s.Append(context.Background(), rec)
			}
			errs <- err
		}()
	}
	if err := s.Upgrade(context.Background(), format.V2); err != nil {
		t.Error(err)
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if r, err := s.Scrub(context.Background(), 0, func(vstack.ChunkID, vstack.Piece, error) {}); err != nil || r.Chunks != 120 || r.Rot+r.Bad != 0 {
		t.Errorf("scrubbed %+v, %v", r, err)
	}
}

func TestWhatThisProgramDoesNotLookAfterIsRefused(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	s := openFirst(t, cfg)
	if err := s.Upgrade(context.Background(), format.V2); err != nil {
		t.Fatal(err)
	}
	part := fragment(payload(1, 5000), 4, slotOf(1, 1))
	locked := stored([]byte("locked"))
	locked.KeyGeneration = 1
	for _, r := range []Record{part, {Kind: KindDropFragment, Value: part.Value, Piece: part.Piece}, locked} {
		if _, err := s.Append(context.Background(), r); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s, key %d: %v", r.Kind, r.KeyGeneration, err)
		}
	}
	// Whoever else wrote one: the store is not opened, and nothing of it is changed.
	r := &request{Batch: batch.New([]Record{part}, nil, s.box.Load()), ready: make(chan struct{})}
	if err := s.submit(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	before := filesOf(t, disk, cfg.Dir)
	if _, err := Open(context.Background(), cfg); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("opened a file of version 2 with a fragment in it: %v", err)
	}
	if after := filesOf(t, disk, cfg.Dir); !maps.Equal(before, after) {
		t.Error("the refusal changed files")
	}
}

// TestANewerVersionIsRefused: what a program that only knew the version before does, which
// has the same check.
func TestANewerVersionIsRefused(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	s := openFirst(t, cfg)
	if err := s.Upgrade(context.Background(), max(format.NewestPlain, appendAs)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, fragment(payload(1, 5000), 4, slotOf(1, 1)))
	if err := s.home().Write(s.id, format.Newest+1); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	before := filesOf(t, disk, cfg.Dir)
	_, err := Open(context.Background(), cfg)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "start the newer vstack") {
		t.Errorf("opened: %v", err)
	}
	if after := filesOf(t, disk, cfg.Dir); !maps.Equal(before, after) {
		t.Error("the refusal changed files")
	}
}

// filesOf is the content of every file of a directory.
func filesOf(t *testing.T, fsys vfs.FS, dir string) map[string]string {
	t.Helper()
	names, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		b, err := vfs.ReadFile(fsys, filepath.Join(dir, name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(b)
	}
	return out
}
