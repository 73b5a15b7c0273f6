//go:build linux

package vfs

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pieces cuts b in places that no device would want.
func pieces(r *rand.Rand, b []byte) (out [][]byte) {
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(300<<10))
		out = append(out, b[:n])
		b = b[n:]
	}
	return out
}

// resident is how many pages of a file are in memory.
func resident(t *testing.T, f File) (n int) {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	m, err := unix.Mmap(f.(*osFile).fd, 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer func() { must(t, unix.Munmap(m)) }()
	pages := make([]byte, (len(m)+4095)/4096)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, addr(m), uintptr(len(m)), addr(pages))
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, p := range pages {
		n += int(p & 1)
	}
	return n
}

func TestLargeWritesArePastThePageCacheAndSeenThroughIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	name := filepath.Join(t.TempDir(), "f")
	f := create(t, OS{}, name, "")
	const size = 24 << 20
	must(t, f.Preallocate(size))
	want := make([]byte, size)
	off := int64(0)
	for i := 0; off < size; i++ {
		// Sizes on both sides of a step, and of what goes past the cache.
		n := int64([]int{4 << 10, 252 << 10, 256 << 10, 2<<20 + 4<<10, 4 << 20, 5<<20 + 8<<10}[i%6])
		n = min(n, size-off)
		b := want[off : off+n]
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		_, err := f.ReadAt(make([]byte, n), off) // the zeros before are in memory
		must(t, err)
		bufs := pieces(r, b)
		before := len(bufs[0])
		if done, err := f.WritevAt(bufs, off); err != nil || done != n {
			t.Fatalf("write %d at %d: %d, %v", n, off, done, err)
		}
		if len(bufs[0]) != before {
			t.Error("the caller's buffers were advanced")
		}
		off += n
	}
	must(t, f.Datasync())
	got, err := os.ReadFile(name)
	if must(t, err); !bytes.Equal(got, want) {
		t.Error("what is read is not what was written")
	}
	must(t, f.Close())
}

func TestLargeWritesLeaveNoPages(t *testing.T) {
	dir := t.TempDir()
	f := create(t, OS{}, filepath.Join(dir, "f"), "")
	defer f.Close()
	if _, err := f.(*osFile).writeDirect([][]byte{make([]byte, directMin)}, 0); errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("SKIPPED: the file system of %s has no O_DIRECT; give TMPDIR on one that has", dir)
	}
	const size = 2<<20 + 4<<10
	must(t, f.Preallocate(8*size))
	for i := range int64(8) {
		_, err := f.WritevAt([][]byte{make([]byte, 896), make([]byte, 2<<20), make([]byte, 3200)}, i*size)
		must(t, err)
	}
	if n := resident(t, f); n > 0 {
		t.Errorf("%d pages are in memory, want none", n)
	}
	_, err := f.WritevAt([][]byte{make([]byte, 4096)}, 0)
	must(t, err)
	if n := resident(t, f); n == 0 {
		t.Error("a page that was just written is not counted: the test sees nothing")
	}
}

func TestWritesThatDoNotFitADeviceGoThroughTheCache(t *testing.T) {
	f := create(t, OS{}, filepath.Join(t.TempDir(), "f"), "")
	defer f.Close()
	for _, c := range []struct {
		n   int
		off int64
	}{{directMin + 1, 0}, {directMin, 512}, {directMin - 4096, 0}} {
		if fitsDirect([][]byte{make([]byte, c.n)}, c.off) {
			t.Errorf("%d bytes at %d are to go past the page cache", c.n, c.off)
		}
		if n, err := f.WritevAt([][]byte{make([]byte, c.n)}, c.off); err != nil || n != int64(c.n) {
			t.Errorf("write %d at %d: %d, %v", c.n, c.off, n, err)
		}
	}
}

func TestLargeWriteThatTheDiskRefusesFails(t *testing.T) {
	f := create(t, OS{}, filepath.Join(t.TempDir(), "f"), "")
	defer f.Close()
	const far = 1 << 62 // no file system has files of this size
	if _, err := f.WritevAt([][]byte{make([]byte, directMin)}, far); !errors.Is(err, unix.EFBIG) {
		t.Errorf("write at %d: %v, want %v", int64(far), err, unix.EFBIG)
	}
}

func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
