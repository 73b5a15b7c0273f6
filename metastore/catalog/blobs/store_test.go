package blobs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

var testKey = sealed.NewKey([sealed.KeyLen]byte{1, 2, 3})

func onDisk(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := New(Config{Dir: "manifests", FS: fs, Key: testKey, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func digest(n int) (d Digest) {
	binary.BigEndian.PutUint64(d[:], uint64(n)*0x9e3779b97f4a7c15)
	return d
}

func blob(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "manifest %d,", n), 20+n%7) }

func put(t testing.TB, s interface{ Put(Digest, []byte) error }, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := s.Put(digest(n), blob(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// wants checks which of the first blobs are there, and that they are what they were.
func wants(t testing.TB, s *Store, of int, there func(n int) bool) {
	t.Helper()
	for n := range of {
		b, err := s.Get(digest(n))
		switch {
		case there(n) && (err != nil || !bytes.Equal(b, blob(n))):
			t.Fatalf("blob %d: %d bytes, %v", n, len(b), err)
		case !there(n) && !errors.Is(err, vstack.ErrManifestsLost):
			t.Fatalf("blob %d is there: %d bytes, %v", n, len(b), err)
		}
	}
}

func among(ns ...int) func(int) bool {
	m := map[int]bool{}
	for _, n := range ns {
		m[n] = true
	}
	return func(n int) bool { return m[n] }
}

// both runs a test on both kinds of stores.
func both(t *testing.T, f func(t *testing.T, s *Store)) {
	t.Run("on the disk", func(t *testing.T) { f(t, onDisk(t, vfs.NewMem())) })
	t.Run("in memory", func(t *testing.T) { f(t, InMemory()) })
}

func drop(t testing.TB, s *Store, oldest uint64) int {
	t.Helper()
	n, err := s.Drop(oldest)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOrphansGoOnceNoSnapshotNamesThem(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		put(t, s, 0, 1, 2, 3)
		s.Orphan(digest(1), 10)
		s.Orphan(digest(2), 20)
		s.Orphan(digest(3), 5)
		put(t, s, 3) // a log that is read again names it again
		if n := drop(t, s, 9); n != 0 {
			t.Fatalf("%d went that a snapshot at 9 names", n)
		}
		release := s.Hold()
		if n := drop(t, s, 15); n != 0 {
			t.Fatalf("%d went while the store was held", n)
		}
		release()
		release()
		if n := drop(t, s, 15); n != 1 || s.Orphans() != 1 {
			t.Fatalf("%d went, %d wait, want 1 and 1", n, s.Orphans())
		}
		wants(t, s, 5, among(0, 2, 3))
	})
}

func TestMoreOrphansThanABatch(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		for n := range 3*dropBatch + 1 {
			put(t, s, n)
			if n > 0 {
				s.Orphan(digest(n), 7)
			}
		}
		if n := drop(t, s, 7); n != 3*dropBatch {
			t.Fatalf("%d went, want %d", n, 3*dropBatch)
		}
		wants(t, s, 3*dropBatch+1, among(0))
	})
}

func TestASnapshotTakesTheCatalogsPlace(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		put(t, s, 0, 1, 2)
		s.Orphan(digest(2), 3) // of the catalog before
		r, err := s.Restore()
		if err != nil {
			t.Fatal(err)
		}
		put(t, r, 4)
		if err := errors.Join(r.Name(digest(0), uint32(len(blob(0)))), r.Name(digest(2), uint32(len(blob(2))))); err != nil {
			t.Fatal(err)
		}
		if err := r.Name(digest(7), 1); !errors.Is(err, vstack.ErrManifestsLost) {
			t.Errorf("one that is not there: %v", err)
		}
		if err := r.Name(digest(1), 1); !errors.Is(err, vstack.ErrManifestsLost) {
			t.Errorf("one of another size: %v", err)
		}
		r.End(true, 50)
		r.End(true, 99) // does nothing
		if n := drop(t, s, 49); n != 0 {
			t.Fatalf("%d went that an older snapshot may name", n)
		}
		if n := drop(t, s, 50); n != 1 {
			t.Fatalf("%d went, want the one that the snapshot did not name", n)
		}
		wants(t, s, 5, among(0, 2, 4))
	})
}

func TestASnapshotThatIsRefusedOrphansNothing(t *testing.T) {
	both(t, func(t *testing.T, s *Store) {
		put(t, s, 0, 1)
		s.Orphan(digest(1), 3)
		r, err := s.Restore()
		if err != nil {
			t.Fatal(err)
		}
		put(t, r, 2)
		r.End(false, 50)
		if n := drop(t, s, 50); n != 1 {
			t.Fatalf("%d went, want the orphan of before", n)
		}
		wants(t, s, 3, among(0, 2))
	})
}

// TestWhatIsPutAgainIsNotDropped has a log read again while blobs are dropped.
func TestWhatIsPutAgainIsNotDropped(t *testing.T) {
	s := onDisk(t, vfs.NewMem())
	for n := range 2000 {
		put(t, s, n)
		s.Orphan(digest(n), 1)
	}
	var wg sync.WaitGroup
	wg.Go(func() { drop(t, s, 1) })
	for n := range 2000 {
		put(t, s, n)
	}
	wg.Wait()
	wants(t, s, 2000, func(int) bool { return true })
}

func TestADamagedStoreIsNotOpenedAgain(t *testing.T) {
	fs := vfs.NewMem()
	s := onDisk(t, fs)
	put(t, s, 0)
	if err := errors.Join(s.Damaged(errors.New("block 7 is not what it was")), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(digest(1), blob(1)); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("a store that is closed takes more: %v", err)
	}
	if _, err := s.Get(digest(0)); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("a store that is closed is read: %v", err)
	}
	for _, readOnly := range []bool{false, true} {
		again, err := New(Config{Dir: "manifests", FS: fs, Key: testKey, ReadOnly: readOnly, Fatal: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Open(); !errors.Is(err, vstack.ErrManifestsLost) || !bytes.Contains([]byte(err.Error()), []byte("block 7")) {
			t.Errorf("read only %t: %v", readOnly, err)
		}
	}
}

// TestACrashLosesOnlyWhatWasNotSynced puts, removes and syncs at random on disks that lose power.
func TestACrashLosesOnlyWhatWasNotSynced(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	fs := vfs.NewCrashableMem()
	synced := 0 // the first so many are on the disk
	for round := range 60 {
		s, err := New(Config{Dir: "manifests", FS: fs, Key: testKey, Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Open(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		wants(t, s, synced, func(int) bool { return true })
		r, err := s.Restore()
		if err != nil {
			t.Fatal(err)
		}
		for n := range synced {
			if err := r.Name(digest(n), uint32(len(blob(n)))); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		r.End(true, 0)
		put(t, s, more(synced, rng.IntN(300))...)
		if rng.IntN(3) > 0 {
			upTo := synced + rng.IntN(40)
			put(t, s, more(synced, upTo-synced)...)
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			synced = upTo
		}
		put(t, s, more(synced, rng.IntN(300))...)
		next := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		fs = next
	}
	if synced < 500 {
		t.Errorf("only %d were synced in all", synced)
	}
}

// more are n numbers from one on.
func more(from, n int) (out []int) {
	for i := range n {
		out = append(out, from+i)
	}
	return out
}

func TestNoFileHasAPlainByte(t *testing.T) {
	fs := vfs.NewMem()
	s := onDisk(t, fs)
	put(t, s, more(0, 400)...)
	if err := errors.Join(s.Sync(), s.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("manifests")
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, name := range names {
		f, err := fs.Open("manifests/" + name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if size += len(b); bytes.Contains(b, []byte("manifest")) {
			t.Errorf("%s is readable", name)
		}
	}
	if size < 400*8 {
		t.Errorf("%d files of %d bytes", len(names), size)
	}
}
