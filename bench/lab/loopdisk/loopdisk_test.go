package loopdisk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// made is a disk of 16 MiB and its directory.
func made(t *testing.T) (*Disk, string) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Make(t.Context(), dir+".img", dir, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Thaw(); _ = d.Close() }) // where the test did not
	return d, dir
}

func write(dir, name string) error {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("x"); err != nil {
		return err
	}
	return f.Sync()
}

func TestFrozenDiskHangsAndGoesOn(t *testing.T) {
	d, dir := made(t)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Fatalf("a new disk holds %v, %v", entries, err)
	}
	if err := write(dir, "before"); err != nil {
		t.Fatal(err)
	}
	if err := d.Freeze(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- write(dir, "during") }()
	select {
	case err := <-done:
		t.Errorf("a write ended on a frozen disk: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if _, err := os.ReadFile(filepath.Join(dir, "before")); err != nil {
		t.Error(err)
	}
	if err := d.Thaw(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the write does not go on")
	}
}

func TestClosedDiskIsGone(t *testing.T) {
	d, dir := made(t)
	pattern := filepath.Join(filepath.Dir(dir), "*")
	if m, err := Mounted(pattern); err != nil || !slices.Equal(m, []string{dir}) {
		t.Fatalf("mounted %v, %v", m, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if m, err := Mounted(pattern); err != nil || len(m) > 0 {
		t.Errorf("mounted %v, %v", m, err)
	}
	if _, err := os.Stat(dir + ".img"); !os.IsNotExist(err) {
		t.Errorf("the image is there: %v", err)
	}
}

func TestUnmountThaws(t *testing.T) {
	d, dir := made(t)
	if err := d.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := Unmount(dir); err != nil {
		t.Fatal(err)
	}
	if m, err := Mounted(dir); err != nil || len(m) > 0 {
		t.Errorf("mounted %v, %v", m, err)
	}
}

func TestMakeThatFailsLeavesNothing(t *testing.T) {
	_, dir := made(t)
	image := filepath.Join(filepath.Dir(dir), "other.img")
	if _, err := Make(t.Context(), image, filepath.Join(dir, "nowhere"), 16<<20); err == nil {
		t.Fatal("mounted on nothing")
	}
	if _, err := os.Stat(image); !os.IsNotExist(err) {
		t.Errorf("the image is there: %v", err)
	}
	if _, err := Make(t.Context(), dir+".img", dir, 16<<20); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an image that is there already: %v", err)
	}
	if _, err := os.Stat(dir + ".img"); err != nil {
		t.Errorf("another's image was removed: %v", err)
	}
}

func TestAFullDiskTakesNothingMore(t *testing.T) {
	d, dir := made(t)
	sparse := filepath.Join(dir, "log")
	if err := os.WriteFile(sparse, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(sparse, 4<<20); err != nil { // as bbolt grows its file
		t.Fatal(err)
	}
	into := func(offset int64) error {
		f, err := os.OpenFile(sparse, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = f.WriteAt(make([]byte, 4096), offset)
		return errors.Join(err, f.Sync())
	}
	if err := into(0); err != nil {
		t.Fatal(err)
	}
	for range 2 { // filled again, it is as full
		if err := d.Fill(); err != nil {
			t.Fatal(err)
		}
		if err := into(1 << 20); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("a write into a hole of a full disk: %v", err)
		}
		if err := into(0); err != nil {
			t.Errorf("a write over what is there: %v", err)
		}
	}
	if err := d.Free(); err != nil {
		t.Fatal(err)
	}
	if err := into(1 << 20); err != nil {
		t.Errorf("a write when there is space again: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}
