package source

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/vstack/vstack/internal/vstack"
)

const block = aes.BlockSize

// File is an open one, to be read at any place, by many goroutines.
type File struct {
	f     *os.File
	s     *Secret
	block cipher.Block
	size  int64
}

// Open opens a file to be read.
func (v Vault) Open(path string) (*File, error) { return v.file(path, open) }

// file opens a file, and has how see what there is of it.
func (v Vault) file(path string, how func(*os.File, *Secret) (*File, error)) (*File, error) {
	s, err := v.Secret(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	out, err := how(f, s)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return out, nil
}

// Whole looks whether a file is there, of size bytes. What a disk does not tell now it may later.
func (v Vault) Whole(path string, size int64) error {
	f, err := v.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("spool: %w: the file is gone", vstack.ErrInternal)
	case errors.Is(err, vstack.ErrCorrupt):
		return fmt.Errorf("spool: %w: %w", vstack.ErrInternal, err)
	case err != nil:
		return fmt.Errorf("spool: %w: %w", vstack.ErrUnavailable, err)
	}
	defer f.Close()
	if f.Size() != size {
		return fmt.Errorf("spool: %w: the file has %d bytes of %d", vstack.ErrInternal, f.Size(), size)
	}
	return nil
}

// Begun opens a file that may still arrive: its size is that of the whole blocks before the last one.
func (v Vault) Begun(path string) (*File, error) { return v.file(path, begun) }

func begun(f *os.File, s *Secret) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	out := &File{f: f, s: s, size: info.Size()}
	if s != nil {
		out.size = max(0, out.size/block*block-block)
		out.block, err = aes.NewCipher(s.key[:])
	}
	return out, err
}

// Arrived is how many of size bytes that were written stay as they are on the disk.
func (v Vault) Arrived(size int64) int64 {
	if v.Key == nil {
		return size
	}
	return size / block * block
}

// There reads bytes that are there, though the file was shorter when it was opened.
func (f *File) There(p []byte, off int64) (int, error) {
	g := *f
	g.size = off + int64(len(p))
	return g.ReadAt(p, off)
}

func open(f *os.File, s *Secret) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	out := &File{f: f, s: s, size: info.Size()}
	if s == nil || out.size == 0 {
		return out, nil
	}
	if out.size%block != 0 {
		return nil, fmt.Errorf("%w: %d bytes are no whole blocks", vstack.ErrCorrupt, out.size)
	}
	if out.block, err = aes.NewCipher(s.key[:]); err != nil {
		return nil, err
	}
	last, err := out.blocks(out.size-block, block)
	if err != nil {
		return nil, err
	}
	pad := last[block-1]
	if pad == 0 || pad > block || !bytes.Equal(last[block-int(pad):], bytes.Repeat([]byte{pad}, int(pad))) {
		return nil, fmt.Errorf("%w: its last block is no padding", vstack.ErrCorrupt)
	}
	out.size -= int64(pad)
	return out, nil
}

// blocks decrypts whole blocks, which are there.
func (f *File) blocks(off, n int64) ([]byte, error) {
	b, before := make([]byte, block+n), f.s.iv[:]
	from := max(0, off-block)
	got := b[block-(off-from):]
	if k, err := f.f.ReadAt(got, from); k < len(got) {
		return nil, err
	}
	if off > 0 {
		before = bytes.Clone(b[:block])
	}
	out := b[block:]
	cipher.NewCBCDecrypter(f.block, before).CryptBlocks(out, out)
	return out, nil
}

// Size is how many bytes were uploaded.
func (f *File) Size() int64 { return f.size }

// Name is its path.
func (f *File) Name() string { return f.f.Name() }

// Close closes it.
func (f *File) Close() error { return f.f.Close() }

// ReadAt is of io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.s == nil {
		return f.f.ReadAt(p, off)
	}
	n := int(min(int64(len(p)), max(0, f.size-off)))
	const step = 1 << 20
	for done := 0; done < n; {
		at := off + int64(done)
		k := min(n-done, step)
		first := at / block * block
		end := (at + int64(k) + block - 1) / block * block
		plain, err := f.blocks(first, end-first)
		if err != nil {
			return done, err
		}
		done += copy(p[done:done+k], plain[at-first:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Reader reads it from its beginning to its end.
func (f *File) Reader() io.Reader { return io.NewSectionReader(f, 0, f.size) }
