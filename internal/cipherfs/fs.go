package cipherfs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	magic   = "VSTKVFS\x01"
	headLen = 40
	use     = "file of a view"
)

// FS encrypts the files of another file system. Locks, directories and names are the other's.
type FS struct {
	vfs.FS
	key  *sealed.Key
	keep string // the name of a file in the directory that RemoveAll leaves; "" for none
}

// New encrypts with a key, of which the file keep, as it is, is kept beside the others; it is ""
// where that lies elsewhere.
func New(inner vfs.FS, key *sealed.Key, keep string) *FS { return &FS{inner, key, keep} }

// Unwrap is vfs.FS.
func (f *FS) Unwrap() vfs.FS { return f.FS }

// Create makes a file with a key of its own.
func (f *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	head := make([]byte, headLen)
	copy(head, magic)
	rand.Read(head[len(magic):]) // it never fails
	block, err := f.block(head)
	if err != nil {
		return nil, err
	}
	inner, err := f.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	if _, err := inner.Write(head); err != nil {
		return nil, errors.Join(fmt.Errorf("begin %s: %w", name, err), inner.Close())
	}
	return &file{File: inner, block: block}, nil
}

func (f *FS) block(head []byte) (cipher.Block, error) {
	key, err := f.key.Derive(head[len(magic):], use, sealed.KeyLen)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

// Open opens a file for reading.
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	inner, err := f.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	out, err := f.open(inner)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), inner.Close())
	}
	return out, nil
}

func (f *FS) open(inner vfs.File) (vfs.File, error) {
	if info, err := inner.Stat(); err != nil || info.IsDir() {
		return inner, err
	}
	head := make([]byte, headLen)
	n, err := inner.ReadAt(head, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case n < headLen, [headLen]byte(head) == [headLen]byte{}:
		return &file{File: inner}, nil // a crash left it so
	case string(head[:len(magic)]) != magic:
		return nil, fmt.Errorf("%w: it begins with %q, and is not encrypted", vstack.ErrCorrupt, head[:len(magic)])
	}
	block, err := f.block(head)
	return &file{File: inner, block: block}, err
}

// OpenReadWrite is refused: pebble has no use for it here, and what is written over would be
// encrypted alike.
func (f *FS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, fmt.Errorf("open %s to write over: %w", name, errors.ErrUnsupported)
}

// ReuseForWrite makes a new file, and removes the old one.
func (f *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Remove(oldname); err != nil {
		return nil, err
	}
	return f.Create(newname, category)
}

// RemoveAll leaves the file of the key, and so the directory that has it.
func (f *FS) RemoveAll(name string) error {
	if f.keep == "" {
		return f.FS.RemoveAll(name)
	}
	if _, err := f.FS.Stat(f.PathJoin(name, f.keep)); err != nil {
		return f.FS.RemoveAll(name)
	}
	names, err := f.List(name)
	for _, n := range names {
		if n != f.keep {
			err = errors.Join(err, f.FS.RemoveAll(f.PathJoin(name, n)))
		}
	}
	return err
}

// Stat tells the size of a file's content.
func (f *FS) Stat(name string) (vfs.FileInfo, error) {
	i, err := f.FS.Stat(name)
	if err != nil || i.IsDir() {
		return i, err
	}
	return info{i}, nil
}

type info struct{ vfs.FileInfo }

func (i info) Size() int64 { return max(0, i.FileInfo.Size()-headLen) }

// file is an open one. Write and Read are for one goroutine, ReadAt for many.
type file struct {
	vfs.File
	block   cipher.Block // nil: it is empty
	written int64
	read    int64
}

// at is the cipher from a place of the content on.
func (f *file) at(off int64) cipher.Stream {
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(off/aes.BlockSize))
	s := cipher.NewCTR(f.block, counter[:])
	var skip [aes.BlockSize]byte
	n := off % aes.BlockSize
	s.XORKeyStream(skip[:n], skip[:n])
	return s
}

// step is how much is encrypted at a time: what is written belongs to the caller.
const step = 32 << 10

func (f *file) Write(p []byte) (n int, err error) {
	if f.block == nil {
		return 0, fmt.Errorf("write to a file that was opened to be read: %w", os.ErrPermission)
	}
	s, buf := f.at(f.written), make([]byte, min(step, len(p)))
	for n < len(p) && err == nil {
		k := min(step, len(p)-n)
		s.XORKeyStream(buf[:k], p[n:n+k])
		k, err = f.File.Write(buf[:k])
		n += k
	}
	f.written += int64(n)
	return n, err
}

func (f *file) WriteAt([]byte, int64) (int, error) {
	return 0, fmt.Errorf("write over a file: %w", errors.ErrUnsupported)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if f.block == nil {
		return 0, io.EOF
	}
	n, err := f.File.ReadAt(p, off+headLen)
	f.at(off).XORKeyStream(p[:n], p[:n])
	return n, err
}

func (f *file) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p, f.read)
	if f.read += int64(n); n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *file) Stat() (vfs.FileInfo, error) {
	i, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return info{i}, nil
}

func (f *file) Preallocate(off, length int64) error { return f.File.Preallocate(off+headLen, length) }
func (f *file) SyncTo(length int64) (bool, error)   { return f.File.SyncTo(length + headLen) }
func (f *file) Prefetch(off, length int64) error    { return f.File.Prefetch(off+headLen, length) }

// Fd keeps others from reading past the cipher.
func (f *file) Fd() uintptr { return vfs.InvalidFd }
