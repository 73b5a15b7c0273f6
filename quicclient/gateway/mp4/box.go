package mp4

import (
	"encoding/binary"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// headerSize is that of a box whose size fits in 32 bits; CMAF needs no other.
const headerSize = 8

// walk calls visit for each box in b with its type and its bytes, header included.
func walk(b []byte, visit func(kind string, box []byte) error) error {
	for len(b) > 0 {
		if len(b) < headerSize {
			return fmt.Errorf("box header: %w: %d bytes left", vstack.ErrCorrupt, len(b))
		}
		size := uint64(binary.BigEndian.Uint32(b))
		if size < headerSize || size > uint64(len(b)) {
			return fmt.Errorf("box %q: %w: size %d of %d bytes left", b[4:8], vstack.ErrCorrupt, size, len(b))
		}
		if err := visit(string(b[4:8]), b[:size:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// find returns the first box of a kind inside b.
func find(b []byte, kind string) ([]byte, error) {
	var found []byte
	err := walk(b, func(k string, box []byte) error {
		if k == kind && found == nil {
			found = box
		}
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("box %q: %w: missing", kind, vstack.ErrCorrupt)
	}
	return found, err
}

// put appends a box whose body is the given parts.
func put(b []byte, kind string, parts ...[]byte) []byte {
	size := headerSize
	for _, p := range parts {
		size += len(p)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, kind...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// setU32 writes a field of a box at an offset from its header.
func setU32(box []byte, at int, v uint32) error {
	if at+4 > len(box) {
		return fmt.Errorf("box %q: %w: of %d bytes, want a field at %d", box[4:8], vstack.ErrCorrupt, len(box), at)
	}
	binary.BigEndian.PutUint32(box[at:], v)
	return nil
}
