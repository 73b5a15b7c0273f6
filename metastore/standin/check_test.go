package standin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/vstack/vstack/internal/vstack"
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
	return dir, path
}

func TestALogThatIsWholeIsPassed(t *testing.T) {
	if err := Check(t.TempDir()); err != nil {
		t.Errorf("no log yet: %v", err)
	}
	dir, path := memberLog(t)
	if err := Check(dir); err != nil {
		t.Error(err)
	}
	// One meta page may be torn: the other counts.
	spoil(t, path, 40, 8)
	if err := Check(dir); err != nil {
		t.Errorf("one meta page torn: %v", err)
	}
	spoil(t, path, int64(os.Getpagesize())+40, 8)
	if err := Check(dir); !errors.Is(err, vstack.ErrCorrupt) {
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
		err := Check(dir)
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
			if err := Check(dir); !errors.Is(err, vstack.ErrCorrupt) {
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
