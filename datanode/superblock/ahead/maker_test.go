package ahead

import (
	"bytes"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/vstack/vstack/internal/vfs"
)

var errNoRoom = errors.New("no room")

func room() error { return nil }

// made checks that dir holds exactly the file name, with header and the whole size.
func made(t *testing.T, fsys vfs.FS, name string, f vfs.File, header []byte, size int64) {
	t.Helper()
	names, err := fsys.ReadDir("/d")
	if err != nil || len(names) != 1 || names[0] != name {
		t.Errorf("the directory holds %v (%v), want %s", names, err, name)
	}
	got := make([]byte, len(header))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, header) {
		t.Errorf("header %q (%v), want %q", got, err, header)
	}
	if n, err := f.Size(); err != nil || n != size {
		t.Errorf("%d bytes (%v), want %d", n, err, size)
	}
}

func TestCreate(t *testing.T) {
	header := []byte("header")
	const size = 1 << 20
	setup := func(t *testing.T) (*Maker, *vfs.Fault) {
		disk := vfs.NewFault(vfs.NewCrash())
		if err := disk.MkdirAll("/d", 0o750); err != nil {
			t.Fatal(err)
		}
		return New(disk, "/d", size), disk
	}
	t.Run("takes the spare", func(t *testing.T) {
		m, disk := setup(t)
		m.Begin(room)
		m.Begin(func() error { t.Error("asked for room a second time"); return nil })
		m.Wait()
		if m.Held() != size {
			t.Errorf("the spare holds %d bytes, want %d", m.Held(), size)
		}
		disk.Set(vfs.Rule{Op: "preallocate", Nth: 1, Sticky: true, Err: syscall.ENOSPC}) // it needs none any more
		f, err := m.Create("a", header)
		if err != nil {
			t.Fatal(err)
		}
		made(t, disk, "a", f, header, size)
		if m.Held() != 0 {
			t.Errorf("%d bytes held for no spare", m.Held())
		}
	})
	t.Run("makes the file without a spare", func(t *testing.T) {
		m, disk := setup(t)
		f, err := m.Create("a", header)
		if err != nil {
			t.Fatal(err)
		}
		made(t, disk, "a", f, header, size)
	})
	t.Run("asks a full disk once more", func(t *testing.T) {
		m, disk := setup(t)
		disk.Set(vfs.Rule{Op: "preallocate", Nth: 1, Err: syscall.ENOSPC})
		m.Begin(room)
		f, err := m.Create("a", header)
		if err != nil || disk.Fired() != 1 {
			t.Fatalf("%v, %d errors met, want none told of 1", err, disk.Fired())
		}
		made(t, disk, "a", f, header, size)
	})
	t.Run("tells an error of the disk and does not try again", func(t *testing.T) {
		m, disk := setup(t)
		disk.Set(vfs.Rule{Op: "sync", Nth: 1, Err: syscall.EIO})
		m.Begin(room)
		if _, err := m.Create("a", header); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v, want the error of the spare's sync", err)
		}
		if n := disk.Calls("preallocate"); n != 1 {
			t.Errorf("%d files begun after a failed sync, want 1", n)
		}
	})
	t.Run("a refused spare costs nothing", func(t *testing.T) {
		m, disk := setup(t)
		m.Begin(func() error { return errNoRoom })
		m.Wait()
		if n := disk.Calls("create"); n != 0 || m.Held() != 0 {
			t.Errorf("%d files made without room, %d bytes held", n, m.Held())
		}
	})
}

func TestCloseGivesTheSpareBack(t *testing.T) {
	disk := vfs.NewCrash()
	if err := disk.MkdirAll("/d", 0o750); err != nil {
		t.Fatal(err)
	}
	m := New(disk, "/d", 1<<20)
	m.Begin(room)
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := disk.Stat(m.temp()); !errors.Is(err, fs.ErrNotExist) || m.Held() != 0 {
			t.Errorf("the spare is still there (%v), %d bytes held", err, m.Held())
		}
	}
}
