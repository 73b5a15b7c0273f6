package frame

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/vstack/vstack/internal/vstack"
)

// Kind says what a frame's payload is.
type Kind byte

// HeaderLen is the bytes before a payload.
const HeaderLen = 9

// Writer writes frames until the first error, which Flush tells.
type Writer struct {
	w      *bufio.Writer
	max    int
	frames uint64
	err    error
}

// NewWriter writes frames of at most max bytes of payload behind magic.
func NewWriter(w io.Writer, magic string, max int) *Writer {
	f := &Writer{w: bufio.NewWriterSize(w, 1<<20), max: max}
	_, f.err = f.w.WriteString(magic)
	return f
}

// Frames is how many were written.
func (f *Writer) Frames() uint64 { return f.frames }

// Flush writes what is buffered, and tells the first error.
func (f *Writer) Flush() error {
	if f.err != nil {
		return f.err
	}
	return f.w.Flush()
}

// JSON writes v as a frame.
func (f *Writer) JSON(kind Kind, v any) {
	if f.err != nil {
		return
	}
	payload, err := json.Marshal(v)
	f.Write(kind, payload, err)
}

// Write writes what was encoded, or keeps the error of that.
func (f *Writer) Write(kind Kind, payload []byte, err error) {
	if f.err != nil {
		return
	}
	if err != nil {
		f.err = fmt.Errorf("encode frame %c: %w", kind, err)
		return
	}
	if len(payload) > f.max {
		f.err = fmt.Errorf("encode frame %c: %w: %d bytes", kind, vstack.ErrTooLarge, len(payload))
		return
	}
	h := header(kind, payload)
	if _, f.err = f.w.Write(h[:]); f.err == nil {
		_, f.err = f.w.Write(payload)
	}
	f.frames++
}

func header(kind Kind, payload []byte) (h [HeaderLen]byte) {
	binary.LittleEndian.PutUint32(h[0:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(h[4:], CRC(kind, payload))
	h[8] = byte(kind)
	return h
}

// Append appends a frame to b.
func Append(b []byte, kind Kind, payload []byte) []byte {
	h := header(kind, payload)
	return append(append(b, h[:]...), payload...)
}

// CRC is that of a frame.
func CRC(kind Kind, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // made once by the library
	return crc32.Update(crc32.Update(0, table, []byte{byte(kind)}), table, payload)
}

// Read reads the next frame, of at most max bytes of payload.
func Read(in io.Reader, max uint32) (Kind, []byte, error) {
	var h [HeaderLen]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: header: %v", vstack.ErrCorrupt, err)
	}
	n, kind := binary.LittleEndian.Uint32(h[0:]), Kind(h[8])
	if n > max {
		return 0, nil, fmt.Errorf("%w: length %d, at most %d", vstack.ErrCorrupt, n, max)
	}
	// Grown as it is read, so that a false length allocates no more than there is.
	payload, err := io.ReadAll(io.LimitReader(in, int64(n)))
	if err != nil || uint32(len(payload)) != n {
		return 0, nil, fmt.Errorf("%w: payload of %d bytes, want %d (%v)", vstack.ErrCorrupt, len(payload), n, err)
	}
	if got, want := CRC(kind, payload), binary.LittleEndian.Uint32(h[4:]); got != want {
		return 0, nil, fmt.Errorf("%w: CRC %08x, want %08x", vstack.ErrCorrupt, got, want)
	}
	return kind, payload, nil
}
