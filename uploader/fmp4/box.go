package fmp4

import (
	"encoding/binary"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// maxDepth bounds how deep find descends; the format needs six levels.
const maxDepth = 8

// box is one box inside a buffer: Body excludes the header.
type box struct {
	Type   string
	Body   []byte
	Offset int // of the header, in the parent's body
	Size   int // header and body
}

// nextBox reads the box at the start of b. Inside a buffer a size of 0 ("to the end")
// is refused: only the last top-level box of a file may have it, and FFmpeg's pipes
// never do.
func nextBox(b []byte) (box, error) {
	if len(b) < 8 {
		return box{}, fmt.Errorf("box header: %w: %d bytes left, want 8", vstack.ErrMediaUnfit, len(b))
	}
	size, header := uint64(binary.BigEndian.Uint32(b)), 8
	kind := string(b[4:8])
	if size == 1 {
		if len(b) < 16 {
			return box{}, fmt.Errorf("box %q: %w: %d bytes left, want 16", kind, vstack.ErrMediaUnfit, len(b))
		}
		size, header = binary.BigEndian.Uint64(b[8:]), 16
	}
	if size < uint64(header) || size > uint64(len(b)) {
		return box{}, fmt.Errorf("box %q: %w: size %d, %d bytes left", kind, vstack.ErrMediaUnfit, size, len(b))
	}
	return box{Type: kind, Body: b[header:size], Size: int(size)}, nil
}

// children calls visit for each box of a container's body, in order.
func children(body []byte, visit func(box) error) error {
	for off := 0; off < len(body); {
		x, err := nextBox(body[off:])
		if err != nil {
			return err
		}
		x.Offset = off
		if err := visit(x); err != nil {
			return err
		}
		off += x.Size
	}
	return nil
}

// find returns the first box at a path of types below body.
func find(body []byte, path ...string) (box, bool) {
	if len(path) > maxDepth {
		return box{}, false
	}
	for off := 0; off < len(body); {
		x, err := nextBox(body[off:])
		if err != nil {
			return box{}, false
		}
		if x.Type == path[0] {
			x.Offset = off
			if len(path) == 1 {
				return x, true
			}
			return find(x.Body, path[1:]...)
		}
		off += x.Size
	}
	return box{}, false
}

// mustFind is find that says what is missing.
func mustFind(body []byte, path ...string) (box, error) {
	x, ok := find(body, path...)
	if !ok {
		return box{}, fmt.Errorf("box %v: %w: missing or damaged", path, vstack.ErrMediaUnfit)
	}
	return x, nil
}

// fields is a cursor over a box's fixed fields. Reading past the end sets short and
// yields zeros, so that a parser checks once at its end.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.short, f.b = true, nil
		return nil
	}
	out := f.b[:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) skip(n int) { f.take(n) }

func (f *fields) u8() uint8 {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) u16() uint16 {
	if b := f.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (f *fields) u32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (f *fields) u64() uint64 {
	if b := f.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// versioned reads a field that is 64 bits wide in version 1 and 32 in version 0.
func (f *fields) versioned(version uint8) uint64 {
	if version == 1 {
		return f.u64()
	}
	return uint64(f.u32())
}

func (f *fields) check(kind string) error {
	if f.short {
		return fmt.Errorf("box %q: %w: too short for its fields", kind, vstack.ErrMediaUnfit)
	}
	return nil
}

// full reads a full box's version and flags.
func full(x box) (version uint8, flags uint32, f *fields) {
	f = &fields{b: x.Body}
	vf := f.u32()
	return uint8(vf >> 24), vf & 0xffffff, f
}
