package erasure

import (
	"bytes"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// Decode makes a chunk of any K of its fragments: fragments has Total of them in order, nil
// for those that are not there. Of more than K it takes the first K.
//
// Errors: ErrNotFound (fewer than K), ErrInvalid (a fragment of the wrong size), and
// ErrHashMismatch: at least one of those taken is rotten, see Mend.
func (c *Codec) Decode(v vstack.Value, fragments [][]byte) ([]byte, error) {
	if err := c.check(v, fragments); err != nil {
		return nil, err
	}
	have := present(fragments)
	if len(have) < int(c.scheme.K) {
		return nil, fmt.Errorf("chunk %s: %w: %d fragments of %s", v.Chunk.Short(), vstack.ErrNotFound, len(have), c.scheme)
	}
	return c.join(v, fragments, have[:c.scheme.K])
}

// Mend is Decode for fragments of which some may be rotten: it tries others until the chunk
// is right, and then names the fragments that are not the chunk's. So with one more than K
// it bears one that is rotten, and with K + n any n. Each try decodes and hashes the chunk.
//
// Errors: as Decode; ErrHashMismatch says that no K of the fragments make the chunk.
func (c *Codec) Mend(v vstack.Value, fragments [][]byte) (chunk []byte, rotten []uint8, err error) {
	if err := c.check(v, fragments); err != nil {
		return nil, nil, err
	}
	have := present(fragments)
	if len(have) < int(c.scheme.K) {
		return nil, nil, fmt.Errorf("chunk %s: %w: %d fragments of %s", v.Chunk.Short(), vstack.ErrNotFound, len(have), c.scheme)
	}
	tried := map[uint32]bool{}
	for leave := 0; chunk == nil && leave <= len(have)-int(c.scheme.K); leave++ {
		without(have, leave, func(rest []int) bool {
			use := rest[:c.scheme.K]
			if set := setOf(use); !tried[set] {
				tried[set] = true
				chunk, err = c.join(v, fragments, use)
			}
			return chunk == nil
		})
	}
	if chunk == nil {
		return nil, nil, fmt.Errorf("none of %d choices of %d fragments: %w", len(tried), len(have), err)
	}
	right, err := c.Encode(chunk)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range have {
		if !bytes.Equal(fragments[i], right[i]) {
			rotten = append(rotten, uint8(i))
		}
	}
	return chunk, rotten, nil
}

// DecodeRow makes a row of a chunk of size bytes of any K of the row's parts, each Width
// long; parts has Total of them in order, nil for those that are not there. Nobody has
// checked what it returns: the leaves in it are for the chunk's leaf table to prove.
func (c *Codec) DecodeRow(size uint32, row int, parts [][]byte) ([]byte, error) {
	if rows := c.scheme.Rows(size); size > vstack.MaxChunkSize || row < 0 || row >= rows {
		return nil, fmt.Errorf("row %d of a chunk of %d bytes in %s: %w: it has %d", row, size, c.scheme, vstack.ErrInvalid, rows)
	}
	r := c.scheme.Row(size, row)
	have, err := c.sized(parts, r.Width)
	if err != nil {
		return nil, err
	}
	if len(have) < int(c.scheme.K) {
		return nil, fmt.Errorf("row %d: %w: %d fragments of %s", row, vstack.ErrNotFound, len(have), c.scheme)
	}
	out := make([]byte, r.Width*uint32(c.scheme.K))
	use := make([][]byte, c.scheme.Total())
	for _, i := range have[:c.scheme.K] {
		use[i] = parts[i]
	}
	if err := c.row(out, use); err != nil {
		return nil, fmt.Errorf("row %d of a chunk of %d bytes: %w", row, size, err)
	}
	return out[:r.Len], nil
}

// join decodes a chunk of the K fragments that use names, and hashes it.
func (c *Codec) join(v vstack.Value, fragments [][]byte, use []int) ([]byte, error) {
	chunk, err := c.assemble(v, fragments, use)
	if err != nil {
		return nil, err
	}
	if got := vstack.ChunkIDOf(chunk); got != v.Chunk {
		return nil, fmt.Errorf("chunk %s of fragments %v of %s: %w: they make %s", v.Chunk.Short(), use, c.scheme, vstack.ErrHashMismatch, got.Short())
	}
	return chunk, nil
}

// assemble is join without the hash.
func (c *Codec) assemble(v vstack.Value, fragments [][]byte, use []int) ([]byte, error) {
	k := uint32(c.scheme.K)
	rows := c.scheme.Rows(v.Size)
	last := c.scheme.Row(v.Size, rows-1)
	out := make([]byte, last.Off+last.Width*k) // the last row with its zeros
	parts := make([][]byte, c.scheme.Total())
	for i := range rows {
		row := c.scheme.Row(v.Size, i)
		clear(parts)
		for _, f := range use {
			parts[f] = fragments[f][row.At : row.At+row.Width]
		}
		if err := c.row(out[row.Off:row.Off+row.Width*k], parts); err != nil {
			return nil, fmt.Errorf("row %d of chunk %s: %w", i, v.Chunk.Short(), err)
		}
	}
	return out[:v.Size:v.Size], nil
}

// row decodes K parts of one length into out, which is K times as long. It may change parts.
func (c *Codec) row(out []byte, parts [][]byte) error {
	width := len(out) / int(c.scheme.K)
	for i := range int(c.scheme.K) {
		at := out[i*width : i*width : (i+1)*width]
		if parts[i] != nil {
			copy(at[:width], parts[i])
			continue
		}
		parts[i] = at // the library fills what is empty and has room
	}
	if err := c.rs.ReconstructData(parts); err != nil {
		return fmt.Errorf("decode in %s: %w: %v", c.scheme, vstack.ErrInternal, err)
	}
	return nil
}

// check wants as many fragments as the scheme has, and each of its size.
func (c *Codec) check(v vstack.Value, fragments [][]byte) error {
	if v.Size == 0 || v.Size > vstack.MaxChunkSize {
		return fmt.Errorf("chunk %s of %d bytes: %w: want 1 to %d", v.Chunk.Short(), v.Size, vstack.ErrInvalid, vstack.MaxChunkSize)
	}
	_, err := c.sized(fragments, c.scheme.FragmentSize(v.Size))
	return err
}

// sized lists the parts that are there and wants each of them to be width long.
func (c *Codec) sized(parts [][]byte, width uint32) ([]int, error) {
	if len(parts) != c.scheme.Total() {
		return nil, fmt.Errorf("%d fragments: %w: scheme %s has %d", len(parts), vstack.ErrInvalid, c.scheme, c.scheme.Total())
	}
	have := present(parts)
	for _, i := range have {
		if len(parts[i]) != int(width) {
			return nil, fmt.Errorf("fragment %d of %s: %w: %d bytes, want %d", i, c.scheme, vstack.ErrInvalid, len(parts[i]), width)
		}
	}
	return have, nil
}

func present(parts [][]byte) (have []int) {
	for i, p := range parts {
		if p != nil {
			have = append(have, i)
		}
	}
	return have
}

func setOf(numbers []int) (set uint32) {
	for _, i := range numbers {
		set |= 1 << i
	}
	return set
}

// without calls visit with all but leave of the numbers, for each choice of those, until it
// returns false.
func without(numbers []int, leave int, visit func(rest []int) bool) {
	rest := make([]int, 0, len(numbers))
	var choose func(at, leave int) bool
	choose = func(at, leave int) bool {
		if at == len(numbers) {
			return leave > 0 || visit(rest)
		}
		if leave > 0 && !choose(at+1, leave-1) {
			return false
		}
		if len(numbers)-at == leave {
			return true
		}
		rest = append(rest, numbers[at])
		more := choose(at+1, leave)
		rest = rest[:len(rest)-1]
		return more
	}
	choose(0, leave)
}
