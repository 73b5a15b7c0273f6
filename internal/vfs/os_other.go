//go:build !linux

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OS is the real file system, as far as the client commands need it on systems that no
// host runs on: files of certificates and configuration. What only a store asks for is
// errors.ErrUnsupported.
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
	return &osFile{f}, nil
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
	return errors.Join(d.Sync(), d.Close())
}

func (OS) Lock(name string) (io.Closer, error) { return nil, unsupported("lock", name) }
func (OS) Free(dir string) (int64, error)      { return 0, unsupported("free space of", dir) }
func (OS) Device(dir string) (uint64, error)   { return 0, unsupported("device of", dir) }

func unsupported(op, name string) error {
	return fmt.Errorf("%s %s: %w: a store needs Linux", op, name, errors.ErrUnsupported)
}

type osFile struct{ *os.File }

func (f *osFile) WritevAt(bufs [][]byte, off int64) (int64, error) {
	var done int64
	for _, b := range bufs {
		n, err := f.WriteAt(b, off+done)
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (f *osFile) Datasync() error { return f.Sync() }

func (f *osFile) Preallocate(int64) error { return unsupported("preallocate", f.Name()) }

func (f *osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *osFile) NextData(int64) (int64, error) { return 0, unsupported("seek data in", f.Name()) }
func (f *osFile) Evict() error                  { return unsupported("evict", f.Name()) }
