package vstack

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxFragments bounds the fragments of a scheme, parity included.
const MaxFragments = 16

// Scheme is a Reed-Solomon code: a chunk is cut into K fragments, M more are computed, and
// any K of the K + M make the chunk again. The zero Scheme is none: whole chunks.
type Scheme struct {
	K, M uint8
}

// DefaultScheme survives any two of five stores, at 1.67 bytes for each byte.
var DefaultScheme = Scheme{3, 2}

// IsZero reports whether there is no scheme.
func (s Scheme) IsZero() bool { return s == Scheme{} }

// Total is the number of fragments.
func (s Scheme) Total() int { return int(s.K) + int(s.M) }

// Check reports as ErrInvalid what is no scheme.
func (s Scheme) Check() error {
	if s.K == 0 || s.M == 0 || s.Total() > MaxFragments {
		return fmt.Errorf("scheme rs(%d,%d): %w: want 1 data fragment and 1 of parity or more, %d together at most", s.K, s.M, ErrInvalid, MaxFragments)
	}
	return nil
}

// FragmentSize is the size of each fragment of a chunk of so many bytes.
func (s Scheme) FragmentSize(chunk uint32) uint32 { return FragmentSize(chunk, int(s.K)) }

// String is K+M, the form of URLs and of JSON; "" for none.
func (s Scheme) String() string {
	if s.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d+%d", s.K, s.M)
}

// ParseScheme reads String's form of a scheme, and no other spelling of it.
func ParseScheme(text string) (Scheme, error) {
	k, m, _ := strings.Cut(text, "+")
	a, errK := strconv.ParseUint(k, 10, 8)
	b, errM := strconv.ParseUint(m, 10, 8)
	s := Scheme{uint8(a), uint8(b)}
	if errK != nil || errM != nil || s.String() != text {
		return Scheme{}, fmt.Errorf("scheme %q: %w: want K+M, as in %s", clip(text), ErrInvalid, DefaultScheme)
	}
	return s, s.Check()
}

func (s Scheme) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s *Scheme) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*s = Scheme{}
		return nil
	}
	*s, err = ParseScheme(string(b))
	return err
}

// Piece is what a store may hold of a chunk: all of it, which is the zero Piece, or
// fragment I of a scheme.
type Piece struct {
	Scheme
	I uint8
}

// IsChunk reports whether the piece is the whole chunk.
func (p Piece) IsChunk() bool { return p == Piece{} }

// Check reports as ErrInvalid what is no fragment.
func (p Piece) Check() error {
	if err := p.Scheme.Check(); err != nil {
		return err
	}
	if int(p.I) >= p.Total() {
		return fmt.Errorf("fragment %d of %s: %w: want 0 to %d", p.I, p.Scheme, ErrInvalid, p.Total()-1)
	}
	return nil
}

// Size is the piece's, of a chunk of so many bytes.
func (p Piece) Size(chunk uint32) uint32 {
	if p.IsChunk() {
		return chunk
	}
	return p.FragmentSize(chunk)
}

// String is K+M/I, the form of URLs; "" for the whole chunk.
func (p Piece) String() string {
	if p.IsChunk() {
		return ""
	}
	return p.Scheme.String() + "/" + strconv.Itoa(int(p.I))
}

// ParsePiece reads String's form of a fragment, and no other spelling of it.
func ParsePiece(text string) (Piece, error) {
	scheme, number, _ := strings.Cut(text, "/")
	s, err := ParseScheme(scheme)
	if err != nil {
		return Piece{}, err
	}
	i, err := strconv.ParseUint(number, 10, 8)
	p := Piece{s, uint8(i)}
	if err != nil || p.String() != text {
		return Piece{}, fmt.Errorf("fragment %q: %w: want K+M/I, as in %s/0", clip(text), ErrInvalid, DefaultScheme)
	}
	return p, p.Check()
}

func (p Piece) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
func (p *Piece) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*p = Piece{}
		return nil
	}
	*p, err = ParsePiece(string(b))
	return err
}

// FragmentSize is the size of each fragment of a chunk in k data fragments. A full row has
// one leaf a fragment; the last row has ⌈rest/k⌉ bytes a fragment, padded with zeros.
func FragmentSize(chunk uint32, k int) uint32 {
	row := uint64(k) * LeafSize
	rest := uint64(chunk) % row
	return uint32(uint64(chunk)/row*LeafSize + (rest+uint64(k)-1)/uint64(k))
}

// Row is a part of a chunk that is decoded by itself: K leaves, and in the last row what is
// left of the chunk.
type Row struct {
	Off, Len uint32 // in the chunk
	// At and Width are the row's part of each fragment. Width × K is Len, and more in the
	// last row, where zeros fill it up.
	At, Width uint32
}

// Rows is the number of rows of a chunk of so many bytes.
func (s Scheme) Rows(chunk uint32) int {
	row := uint64(s.K) * LeafSize
	return int((uint64(chunk) + row - 1) / row)
}

// Row is row i of a chunk of so many bytes, 0 ≤ i < Rows.
func (s Scheme) Row(chunk uint32, i int) Row {
	full := uint32(s.K) * LeafSize
	r := Row{Off: uint32(i) * full, Len: full, At: uint32(i) * LeafSize, Width: LeafSize}
	if rest := chunk - r.Off; rest < full {
		r.Len, r.Width = rest, (rest+uint32(s.K)-1)/uint32(s.K)
	}
	return r
}
