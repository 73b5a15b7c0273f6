package sealed

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	streamMagic = "VSTKSTR\x01"
	block       = vstack.BlockSize
)

// PlainSize is how many bytes a stream of so many holds; 0 for what is no whole stream.
func PlainSize(sealed int64) int64 {
	n := sealed - headLen
	blocks := (n + block + tagLen - 1) / (block + tagLen)
	return max(0, n-blocks*tagLen)
}

// position makes a block's nonce.
func position(number uint64, last bool) (n nonce) {
	binary.LittleEndian.PutUint64(n[:], number)
	if last {
		n[8] = 1
	}
	return n
}

// Writer seals a stream. It is for one goroutine.
type Writer struct {
	w      io.Writer
	aead   cipher.AEAD
	head   []byte // nil once it was written
	buf    []byte // what waits to be a block: with room for its tag
	number uint64
	err    error
}

// NewWriter begins a stream; nothing is written before there is a block of it, or its end.
func NewWriter(w io.Writer, key *Key) (*Writer, error) {
	random := draw()
	aead, err := key.gcm(random, "stream")
	if err != nil {
		return nil, err
	}
	return &Writer{w: w, aead: aead, head: append([]byte(streamMagic), random[:]...), buf: make([]byte, 0, block+tagLen)}, nil
}

// Write takes bytes of the stream.
func (s *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && s.err == nil {
		if len(s.buf) == block { // more follows, so it is not the last
			s.flush(false)
			continue
		}
		k := min(len(p), block-len(s.buf))
		s.buf = append(s.buf, p[:k]...)
		p, n = p[k:], n+k
	}
	return n, s.err
}

// Close writes the last block. It does not close what the stream is written to. Idempotent.
func (s *Writer) Close() error {
	if s.err == nil {
		s.flush(true)
		if s.err == nil {
			s.err = errClosed
		}
	}
	if errors.Is(s.err, errClosed) {
		return nil
	}
	return s.err
}

var errClosed = fmt.Errorf("write to a stream: %w", vstack.ErrClosed)

// flush writes the block that waits.
func (s *Writer) flush(last bool) {
	if s.head != nil {
		if _, s.err = s.w.Write(s.head); s.err != nil {
			return
		}
		s.head = nil
	}
	n := position(s.number, last)
	s.number++
	_, s.err = s.w.Write(s.aead.Seal(s.buf[:0], n[:], s.buf, nil))
	s.buf = s.buf[:0]
}

// Reader opens a stream. It is for one goroutine.
type Reader struct {
	r      io.Reader
	aead   cipher.AEAD
	buf    []byte // room for a block, its tag, and the first byte of the next block
	held   int    // bytes at its beginning that were read beyond the last block
	plain  []byte // what was opened and not yet read
	number uint64
	err    error
}

// NewReader reads the beginning of a stream.
func NewReader(r io.Reader, key *Key) (*Reader, error) {
	var head [headLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, ended(err, "a stream is cut off in its first %d bytes", headLen)
	}
	if string(head[:saltAt]) != streamMagic {
		return nil, corrupt("it begins with %q, and no stream", head[:saltAt])
	}
	aead, err := key.gcm(salt(head[saltAt:]), "stream")
	if err != nil {
		return nil, err
	}
	return &Reader{r: r, aead: aead, buf: make([]byte, block+tagLen+1)}, nil
}

// ended makes the end of a file corruption, and leaves other errors.
func ended(err error, format string, args ...any) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt(format, args...)
	}
	return fmt.Errorf("read a stream: %w", err)
}

// Read gives what has passed its tag.
func (s *Reader) Read(p []byte) (int, error) {
	for len(s.plain) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.next()
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// next opens a block. Whether one more byte follows says whether it is the last.
func (s *Reader) next() {
	n, err := io.ReadFull(s.r, s.buf[s.held:])
	n += s.held
	last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case err != nil && !last:
		s.err = fmt.Errorf("read a stream: %w", err)
		return
	case last && n < tagLen:
		s.err = corrupt("a stream is cut off in block %d", s.number)
		return
	case !last:
		n = block + tagLen
	}
	at := position(s.number, last)
	following := s.buf[block+tagLen]
	plain, err := s.aead.Open(nil, at[:], s.buf[:n], nil)
	if err != nil {
		s.err = corrupt("the tag of block %d of a stream is not right", s.number)
		return
	}
	s.number++
	s.plain = plain
	if last {
		s.err = io.EOF
		return
	}
	s.buf[0], s.held = following, 1
}
