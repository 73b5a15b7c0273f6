//go:build linux

package vfs

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// directMin is from how many bytes on a write goes past the page cache. Of smaller ones many
	// lie in a page or two of each other, and are read together.
	directMin = 256 << 10
	// directAlign is what the device wants of offset, length and memory; none wants more.
	directAlign = 4096
	// directStep is how much is handed to the device at once.
	directStep = 4 << 20
)

// steps are buffers of directStep bytes, aligned.
var steps = sync.Pool{New: func() any {
	b := make([]byte, directStep+directAlign)
	off := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % directAlign
	return (*[directStep]byte)(b[off:])
}}

// fitsDirect reports whether bufs at off may go past the page cache.
func fitsDirect(bufs [][]byte, off int64) bool {
	var n int64
	for _, b := range bufs {
		n += int64(len(b))
	}
	return n >= directMin && n%directAlign == 0 && off%directAlign == 0
}

// writeDirect writes bufs at off past the page cache, by way of a buffer that the device can take
// them from: what is written to a store is read by others, later, if at all, and finding and
// filling a page for each 4 KiB costs several times what copying them once does. Where the file
// system cannot do that it is errors.ErrUnsupported, and nothing was written.
//
// It is a descriptor of its own, for reads go by way of the page cache, and for this write
// alone, so that nobody has to close it.
func (f *osFile) writeDirect(bufs [][]byte, off int64) (done int64, err error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.fd), unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, errors.ErrUnsupported // a write in the usual way tells what is wrong with the file
	}
	defer unix.Close(fd)
	step := steps.Get().(*[directStep]byte)
	defer steps.Put(step)
	for len(bufs) > 0 {
		n := 0
		for n < len(step) && len(bufs) > 0 {
			k := copy(step[n:], bufs[0])
			n, bufs = n+k, advance(bufs, k)
		}
		for p := step[:n]; len(p) > 0; {
			k, err := unix.Pwrite(fd, p, off+done)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EINVAL) && done == 0:
				return 0, errors.ErrUnsupported
			case err != nil:
				return done, f.wrap("pwrite", err)
			case k == 0:
				return done, f.wrap("pwrite", io.ErrShortWrite)
			}
			done, p = done+int64(k), p[k:]
		}
	}
	return done, nil
}
