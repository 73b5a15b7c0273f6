package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS names files by path, as package os does.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes a new file for reading and writing; fs.ErrExist if there is one.
	Create(name string) (File, error)
	// OpenFile is os.OpenFile with the flags os.O_RDWR, O_CREATE, O_EXCL and O_TRUNC.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces newname at once; durable after SyncDir of both directories.
	Rename(oldname, newname string) error
	// Remove unlinks a file; a File open on it goes on working.
	Remove(name string) error
	MkdirAll(dir string, perm fs.FileMode) error
	// ReadDir lists the names in a directory, sorted.
	ReadDir(dir string) ([]string, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes an exclusive advisory lock on a file, which it creates if needed;
	// ErrLocked if another holder has it. Closing the result, or the death of the
	// process, frees it.
	Lock(name string) (io.Closer, error)
	// Free is the number of bytes that an unprivileged process may still write there.
	Free(dir string) (int64, error)
	// Device tells file systems apart: two directories whose free space is the same have
	// the same.
	Device(dir string) (uint64, error)
}

// File is an open file. Offsets are explicit; there is no file position.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// WritevAt writes bufs one after the other from off on, in as few calls as can be. Large
	// writes of whole pages may go past the page cache: then the next read is of the disk.
	WritevAt(bufs [][]byte, off int64) (int64, error)
	// Datasync makes the content durable, and the size if it grew (fdatasync).
	Datasync() error
	// Sync makes content and size durable (fsync).
	Sync() error
	Truncate(size int64) error
	// Preallocate reserves disk space for the bytes before size and grows the file to
	// it; the new bytes read as zero. ErrUnsupported (of package errors) where the
	// file system cannot.
	Preallocate(size int64) error
	Size() (int64, error)
	// NextData returns the first offset ≥ off that may hold anything but zeros, or
	// the file's size.
	NextData(off int64) (int64, error)
	// Evict asks that the next reads come from the disk, not from memory. Unsynced
	// bytes stay as they are.
	Evict() error
}

// ErrLocked is returned by Lock when another holder has the lock.
var ErrLocked = errors.New("locked by another holder")

// WriteFile makes name hold data, durably and all or nothing: a crash, or a process that
// reads at any moment, finds either what was there before or data. The directory must
// exist. A real file gets exactly perm, whatever the umask, before it has a byte.
func WriteFile(fsys FS, name string, data []byte, perm fs.FileMode) error {
	temp := name + ".tmp"
	if err := writeNew(fsys, temp, data, perm); err != nil {
		_ = fsys.Remove(temp) // the first error is the one to tell
		return fmt.Errorf("write %s: %w", temp, err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		_ = fsys.Remove(temp) // as above
		return fmt.Errorf("rename %s to %s: %w", temp, name, err)
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("sync directory of %s: %w", name, err)
	}
	return nil
}

// writeNew makes a synced file in the place of one that a crash may have left, which may
// have had other permissions.
func writeNew(fsys FS, name string, data []byte, perm fs.FileMode) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if file, ok := f.(interface{ Chmod(fs.FileMode) error }); ok {
		err = file.Chmod(perm)
	}
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of %s: %w", name, err)
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: %d bytes, want at most %d", name, size, limit)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}
