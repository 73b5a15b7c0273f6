//go:build linux

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxIOV is how many buffers one pwritev takes (IOV_MAX).
const maxIOV = 1024

// OS is the real file system.
type OS struct{}

func (o OS) Open(name string) (File, error) { return o.OpenFile(name, os.O_RDWR, 0) }
func (o OS) Create(name string) (File, error) {
	return o.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
}

func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f, fd: int(f.Fd())}, nil
}

func (OS) Rename(oldname, newname string) error        { return os.Rename(oldname, newname) }
func (OS) Remove(name string) error                    { return os.Remove(name) }
func (OS) MkdirAll(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }
func (OS) Stat(name string) (fs.FileInfo, error)       { return os.Stat(name) }

func (OS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	err = retryEINTR(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		_ = f.Close() // the lock's error says more
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}

func (OS) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := retryEINTR(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, nil
}

func (OS) Device(dir string) (uint64, error) {
	var st unix.Stat_t
	if err := retryEINTR(func() error { return unix.Stat(dir, &st) }); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	return st.Dev, nil
}

// osFile keeps the descriptor beside the *os.File, which owns it.
type osFile struct {
	*os.File
	fd int
}

func (f *osFile) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.Name(), Err: err}
}

func (f *osFile) WritevAt(bufs [][]byte, off int64) (int64, error) {
	var done int64
	bufs = append([][]byte(nil), bufs...) // advanced below; the caller keeps its own
	if fitsDirect(bufs, off) {
		n, err := f.writeDirect(append([][]byte(nil), bufs...), off)
		if !errors.Is(err, errors.ErrUnsupported) {
			return n, err
		}
	}
	for len(bufs) > 0 {
		n, err := unix.Pwritev(f.fd, bufs[:min(len(bufs), maxIOV)], off+done)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, f.wrap("pwritev", err)
		}
		done += int64(n)
		rest := advance(bufs, n)
		if n == 0 && len(rest) == len(bufs) && len(bufs[0]) > 0 {
			return done, f.wrap("pwritev", io.ErrShortWrite)
		}
		bufs = rest
	}
	return done, nil
}

// advance drops the first n bytes of bufs, and buffers that are empty then.
func advance(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if len(bufs) > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

func (f *osFile) Datasync() error {
	return f.wrap("fdatasync", retryEINTR(func() error { return unix.Fdatasync(f.fd) }))
}

func (f *osFile) Preallocate(size int64) error {
	err := retryEINTR(func() error { return unix.Fallocate(f.fd, 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = errors.ErrUnsupported
	}
	return f.wrap("fallocate", err)
}

func (f *osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *osFile) NextData(off int64) (int64, error) {
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	if off >= size {
		return size, nil
	}
	n, err := unix.Seek(f.fd, off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing but a hole up to the end
		return size, nil
	case errors.Is(err, unix.EINVAL): // the file system does not tell
		return off, nil
	}
	return n, f.wrap("seek data", err)
}

func (f *osFile) Evict() error {
	return f.wrap("fadvise", retryEINTR(func() error { return unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED) }))
}

// retryEINTR repeats a call that a signal interrupted before it did anything; Go's
// runtime preempts with signals, so that is common. It is no retry of an I/O error.
func retryEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
