package erasure

import (
	"fmt"
	"sync"

	"github.com/klauspost/reedsolomon"

	"github.com/vstack/vstack/internal/vstack"
)

// Codec codes chunks in one scheme. Its methods may be called concurrently; each works on
// the caller's goroutine.
type Codec struct {
	scheme vstack.Scheme
	rs     reedsolomon.Encoder
}

// New makes the codec of a scheme; ErrInvalid if it is none.
func New(s vstack.Scheme) (*Codec, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	// Chunks are coded beside each other, so one of them need not keep all processors busy.
	rs, err := reedsolomon.New(int(s.K), int(s.M), reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("codec of scheme %s: %w: %v", s, vstack.ErrInvalid, err)
	}
	return &Codec{s, rs}, nil
}

// Scheme is the codec's.
func (c *Codec) Scheme() vstack.Scheme { return c.scheme }

// Encode makes all fragments of a chunk, the data first.
func (c *Codec) Encode(chunk []byte) ([][]byte, error) {
	out, err := c.Parity(chunk)
	if err != nil {
		return nil, err
	}
	data := make([][]byte, c.scheme.K, c.scheme.Total())
	for i := range data {
		data[i] = c.cut(chunk, i)
	}
	return append(data, out...), nil
}

// Parity makes the fragments of parity of a chunk, whose bytes it reads where they lie.
func (c *Codec) Parity(chunk []byte) ([][]byte, error) {
	size, err := sizeOf(chunk)
	if err != nil {
		return nil, err
	}
	parity := reedsolomon.AllocAligned(int(c.scheme.M), int(c.scheme.FragmentSize(size)))
	return parity, c.encode(parity, chunk)
}

// encode is Parity into memory that is there.
func (c *Codec) encode(parity [][]byte, chunk []byte) error {
	size := uint32(len(chunk))
	shards := make([][]byte, c.scheme.Total())
	pad := pads.Get().(*padding)
	defer pads.Put(pad)
	for i := range c.scheme.Rows(size) {
		row := c.scheme.Row(size, i)
		c.lay(shards, chunk, row, pad)
		for j, p := range parity {
			shards[int(c.scheme.K)+j] = p[row.At : row.At+row.Width]
		}
		if err := c.rs.Encode(shards); err != nil {
			return fmt.Errorf("encode row %d of a chunk of %d bytes in %s: %w: %v", i, size, c.scheme, vstack.ErrInternal, err)
		}
	}
	return nil
}

// Fragment makes fragment number of a chunk alone.
func (c *Codec) Fragment(chunk []byte, number uint8) ([]byte, error) {
	if err := (vstack.Piece{Scheme: c.scheme, I: number}).Check(); err != nil {
		return nil, err
	}
	size, err := sizeOf(chunk)
	if err != nil {
		return nil, err
	}
	if number < c.scheme.K {
		return c.cut(chunk, int(number)), nil
	}
	out := make([]byte, c.scheme.FragmentSize(size))
	shards, wanted := make([][]byte, c.scheme.Total()), make([]bool, c.scheme.Total())
	wanted[number] = true
	pad := pads.Get().(*padding)
	defer pads.Put(pad)
	for i := range c.scheme.Rows(size) {
		row := c.scheme.Row(size, i)
		c.lay(shards, chunk, row, pad)
		clear(shards[c.scheme.K:])
		shards[number] = out[row.At : row.At : row.At+row.Width]
		if err := c.rs.ReconstructSome(shards, wanted); err != nil {
			return nil, fmt.Errorf("encode row %d of a chunk of %d bytes in %s: %w: %v", i, size, c.scheme, vstack.ErrInternal, err)
		}
	}
	return out, nil
}

// cut is data fragment i of a chunk.
func (c *Codec) cut(chunk []byte, i int) []byte {
	size := uint32(len(chunk))
	out := make([]byte, c.scheme.FragmentSize(size))
	for r := range c.scheme.Rows(size) {
		row := c.scheme.Row(size, r)
		copy(out[row.At:row.At+row.Width], part(chunk, row, i))
	}
	return out
}

// padding is where the shares of a last row lie that the chunk's end cuts short, filled up
// with zeros: at most all but one, in a row of a leaf each.
type padding []byte

var pads = sync.Pool{New: func() any { return new(padding) }}

// lay points the data shards at a row of a chunk. Only shares that the chunk's end cuts
// short are copied, to pad.
func (c *Codec) lay(shards [][]byte, chunk []byte, row vstack.Row, pad *padding) {
	width, k := int(row.Width), int(c.scheme.K)
	if int(row.Len) < k*width && len(*pad) < k*width {
		*pad = make(padding, k*width)
	}
	for i := range k {
		shards[i] = part(chunk, row, i)
		if len(shards[i]) < width {
			p := (*pad)[i*width : (i+1)*width]
			clear(p[copy(p, shards[i]):])
			shards[i] = p
		}
	}
}

// part is what data fragment i has of a row, without the zeros at a chunk's end.
func part(chunk []byte, row vstack.Row, i int) []byte {
	b := chunk[row.Off : row.Off+row.Len]
	from := min(i*int(row.Width), len(b))
	return b[from:min(from+int(row.Width), len(b))]
}

func sizeOf(chunk []byte) (uint32, error) {
	if len(chunk) == 0 || len(chunk) > vstack.MaxChunkSize {
		return 0, fmt.Errorf("encode a chunk of %d bytes: %w: want 1 to %d", len(chunk), vstack.ErrInvalid, vstack.MaxChunkSize)
	}
	return uint32(len(chunk)), nil
}
