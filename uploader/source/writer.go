package source

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"os"
)

// Writer appends to a file. It is for one goroutine.
type Writer struct {
	f     *os.File
	block cipher.Block // nil: the file is plain
	chain [block]byte  // the block before the next one
	rest  []byte       // bytes of a block that is not whole
	at    int64        // where the next block goes, or with a plain file the next byte
	buf   []byte
}

// Create makes a file.
func (v Vault) Create(path string) (*Writer, error) {
	s, err := v.make(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	w := &Writer{f: f}
	if s != nil {
		w.chain = s.iv
		if w.block, err = aes.NewCipher(s.key[:]); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return w, nil
}

// Append opens a file, cuts off what is beyond its first size bytes, and goes on there.
func (v Vault) Append(path string, size int64) (*Writer, error) {
	s, err := v.Secret(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	w, length := &Writer{f: f, at: size}, size
	if s != nil {
		length = v.OnDisk(size)
		err = w.resume(s, size)
	}
	if err == nil {
		err = f.Truncate(length)
	}
	if err == nil && s != nil {
		err = w.repad()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// OnDisk is how long a file of size bytes is on the disk once it was synced.
func (v Vault) OnDisk(size int64) int64 {
	if v.Key == nil {
		return size
	}
	return size/block*block + block
}

// repad has the padding end the file durably, where bytes beyond the end may have taken its place.
func (w *Writer) repad() error {
	var have [block]byte
	if _, err := w.f.ReadAt(have[:], w.at); err != nil {
		return err
	}
	if have == w.padding() {
		return nil
	}
	return w.Sync()
}

// padding is the last block.
func (w *Writer) padding() (b [block]byte) {
	n := copy(b[:], w.rest)
	for i := n; i < block; i++ {
		b[i] = byte(block - n)
	}
	cipher.NewCBCEncrypter(w.block, w.chain[:]).CryptBlocks(b[:], b[:])
	return b
}

// resume reads the bytes of the last block, which is written again with what follows.
func (w *Writer) resume(s *Secret, size int64) (err error) {
	if w.block, err = aes.NewCipher(s.key[:]); err != nil {
		return err
	}
	w.at = size / block * block
	w.chain = s.iv
	r := &File{f: w.f, s: s, block: w.block, size: size}
	if w.at > 0 {
		if _, err := w.f.ReadAt(w.chain[:], w.at-block); err != nil {
			return err
		}
	}
	if n := size - w.at; n > 0 {
		last, err := r.blocks(w.at, block)
		if err != nil {
			return err
		}
		w.rest = append(w.rest, last[:n]...)
	}
	return nil
}

const step = 256 << 10

// Write appends.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.block == nil {
		n, err = w.f.WriteAt(p, w.at)
		w.at += int64(n)
		return n, err
	}
	for n < len(p) {
		k := min(step, len(p)-n)
		w.buf = append(append(w.buf[:0], w.rest...), p[n:n+k]...)
		whole := len(w.buf) / block * block
		rest := append([]byte(nil), w.buf[whole:]...)
		if whole > 0 {
			if err := w.put(w.buf[:whole]); err != nil {
				return n, err
			}
		}
		w.rest = rest
		n += k
	}
	return n, nil
}

// put encrypts whole blocks in place and writes them.
func (w *Writer) put(b []byte) error {
	cipher.NewCBCEncrypter(w.block, w.chain[:]).CryptBlocks(b, b)
	if _, err := w.f.WriteAt(b, w.at); err != nil {
		return err
	}
	copy(w.chain[:], b[len(b)-block:])
	w.at += int64(len(b))
	return nil
}

// Sync makes all that was written durable, with the padding behind it.
func (w *Writer) Sync() error {
	if err := w.Pad(); err != nil {
		return err
	}
	return w.Flush()
}

// Pad writes the padding behind all that was written.
func (w *Writer) Pad() error {
	if w.block == nil {
		return nil
	}
	b := w.padding()
	_, err := w.f.WriteAt(b[:], w.at)
	return err
}

// Flush makes durable what is written and padded when it is called. It may run beside Write.
func (w *Writer) Flush() error { return w.f.Sync() }

// Close closes the file, which may lack what came since the last Sync.
func (w *Writer) Close() error { return w.f.Close() }
