package standin

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/catalog/frame"
)

// memberLog makes the log of a member: entries that fill several pages, some gone again.
func memberLog(t *testing.T) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "raft", "raft.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{NoFreelistSync: true, NoSync: true}})
	if err != nil {
		t.Fatal(err)
	}
	var logs []*raft.Log
	for i := range uint64(2000) {
		logs = append(logs, &raft.Log{Index: i + 1, Term: 1, Type: raft.LogCommand, Data: fmt.Appendf(nil, `{"type":"x","payload":"%0200d"}`, i)})
	}
	logs[700].Data = fmt.Appendf(nil, `"%09000d"`, 1) // more than a page
	if err := errors.Join(s.StoreLogs(logs), s.DeleteRange(1, 500), s.SetUint64([]byte("CurrentTerm"), 7), s.Close()); err != nil {
		t.Fatal(err)
	}
	snapshot(t, path, 500)
	return dir, path
}

func TestALogThatIsWholeIsPassed(t *testing.T) {
	if err := Check(t.TempDir(), nil); err != nil {
		t.Errorf("no log yet: %v", err)
	}
	dir, path := memberLog(t)
	if err := Check(dir, nil); err != nil {
		t.Error(err)
	}
	// One meta page may be torn: the other counts.
	spoil(t, path, 40, 8)
	if err := Check(dir, nil); err != nil {
		t.Errorf("one meta page torn: %v", err)
	}
	spoil(t, path, int64(os.Getpagesize())+40, 8)
	if err := Check(dir, nil); !errors.Is(err, vstack.ErrCorrupt) {
		t.Errorf("both meta pages torn: %v", err)
	}
}

// TestWhatIsPassedTheLibraryOpens spoils logs at random. What the library would meet at a
// start is either refused before, or harmless: no damage that is passed may end the process.
func TestWhatIsPassedTheLibraryOpens(t *testing.T) {
	dir, path := memberLog(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range 60 {
		b := append([]byte(nil), whole...)
		switch rng.IntN(3) {
		case 0: // a page is something else
			at := rng.IntN(len(b)/4096) * 4096
			for i := at; i < at+64; i++ {
				b[i] = byte(rng.Uint32())
			}
		case 1:
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		case 2:
			b = b[:rng.IntN(len(b))]
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		err := Check(dir, nil)
		if err != nil && !errors.Is(err, vstack.ErrCorrupt) {
			t.Fatalf("not taken for damage: %v", err)
		}
		if err != nil {
			found++
			continue
		}
		s, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{NoFreelistSync: true, NoSync: true}})
		if err != nil {
			t.Fatalf("passed, and the library refuses it: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found < 12 {
		t.Errorf("only %d of 60 were taken for damaged", found)
	}
}

// TestAGapBelowASnapshotIsNone: a restored backup, and a snapshot of the leader, go on far
// above what the log had.
func TestAGapBelowASnapshotIsNone(t *testing.T) {
	for name, tc := range map[string]struct {
		snapshots []uint64
		from, to  uint64 // entries of the log that are taken away, of 501 to 2000
		damaged   bool
	}{
		"the log goes on after the snapshot": {[]uint64{400, 1200}, 900, 1200, false},
		"the log begins after the snapshot":  {[]uint64{1200}, 501, 1200, false},
		"the gap is below the snapshot":      {[]uint64{1500}, 900, 1200, false},
		"nothing is above the snapshot":      {[]uint64{3000}, 900, 1200, false},
		"an entry after it is gone":          {[]uint64{1200}, 1300, 1300, true},
		"the log goes on later":              {[]uint64{1200}, 501, 1201, true},
		"the snapshot is gone":               {nil, 501, 501, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := memberLog(t)
			s, err := raftboltdb.NewBoltStore(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.DeleteRange(tc.from, tc.to), s.Close(), os.RemoveAll(filepath.Join(filepath.Dir(path), "snapshots"))); err != nil {
				t.Fatal(err)
			}
			for _, index := range tc.snapshots {
				snapshot(t, path, index)
			}
			if err := Check(dir, nil); tc.damaged != errors.Is(err, vstack.ErrCorrupt) || !tc.damaged && err != nil {
				t.Errorf("%v, damaged: %v", err, tc.damaged)
			}
		})
	}
}

// TestADamagedSnapshot is passed over while an older one is whole, from which the log goes on.
func TestADamagedSnapshot(t *testing.T) {
	dir, path := memberLog(t)
	newer := snapshot(t, path, 1700)
	spoil(t, filepath.Join(newer, "state.bin"), 2, 3)
	if err := Check(dir, nil); err != nil {
		t.Errorf("an older one is whole: %v", err)
	}
	older, err := filepath.Glob(filepath.Join(filepath.Dir(path), "snapshots", "*-500-*", "state.bin"))
	if err != nil || len(older) != 1 {
		t.Fatalf("%d older ones, %v", len(older), err)
	}
	spoil(t, older[0], 2, 3)
	if err := Check(dir, nil); !errors.Is(err, vstack.ErrCorrupt) || !strings.Contains(err.Error(), "no snapshot can be read") {
		t.Errorf("none is whole: %v", err)
	}
}

// snapshot makes one beside a log, as the library does.
func snapshot(t *testing.T, log string, index uint64) (dir string) {
	t.Helper()
	snapshots, err := raft.NewFileSnapshotStore(filepath.Dir(log), 3, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := snapshots.Create(raft.SnapshotVersionMax, index, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write(frame.Append([]byte(form.Magic), form.End, []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(log), "snapshots", sink.ID())
}

func TestDamageIsNamed(t *testing.T) {
	for name, at := range map[string]int64{"the header of a page": 5 * 4096, "its end": -1} {
		t.Run(name, func(t *testing.T) {
			dir, path := memberLog(t)
			if at < 0 {
				if err := os.Truncate(path, 3*4096); err != nil {
					t.Fatal(err)
				}
			} else {
				for page := range int64(400) { // whichever are in use
					spoil(t, path, (page+2)*4096, 16)
				}
			}
			if err := Check(dir, nil); !errors.Is(err, vstack.ErrCorrupt) {
				t.Errorf("%v", err)
			}
		})
	}
}

func spoil(t *testing.T, path string, at, n int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	for i := range b {
		b[i] = 0xA5
	}
	if info, _ := f.Stat(); at+n > info.Size() {
		return
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}
