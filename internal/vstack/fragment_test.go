package vstack

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestFragmentSize(t *testing.T) {
	for _, c := range []struct {
		chunk uint32
		k     int
		want  uint32
	}{
		{ChunkSize, 3, 699_051}, // ten full rows and 43,691 bytes
		{ChunkSize, 4, 8 * LeafSize},
		{ChunkSize, 1, ChunkSize},
		{1, 3, 1},
		{3 * LeafSize, 3, LeafSize},
		{3*LeafSize + 1, 3, LeafSize + 1},
		{MaxChunkSize, 255, 32_897},
		{0, 3, 0},
	} {
		if got := FragmentSize(c.chunk, c.k); got != c.want {
			t.Errorf("a chunk of %d bytes in %d: %d bytes a fragment, want %d", c.chunk, c.k, got, c.want)
		}
	}
}

func TestRowsCoverChunkAndFragments(t *testing.T) {
	for _, s := range []Scheme{{3, 2}, {1, 1}, {4, 2}, {15, 1}} {
		for _, size := range []uint32{1, 2, LeafSize - 1, LeafSize, uint32(s.K) * LeafSize, uint32(s.K)*LeafSize + 1, ChunkSize, MaxChunkSize} {
			var at, off uint32
			for i := range s.Rows(size) {
				r := s.Row(size, i)
				if r.Off != off || r.At != at || r.Len == 0 || r.Len > uint32(s.K)*r.Width || r.Len+uint32(s.K) <= uint32(s.K)*r.Width {
					t.Errorf("%s of %d bytes: row %d is %+v behind %d and %d", s, size, i, r, off, at)
				}
				off, at = off+r.Len, at+r.Width
			}
			if off != size || at != s.FragmentSize(size) {
				t.Errorf("%s of %d bytes: rows of %d bytes, %d a fragment", s, size, off, at)
			}
		}
	}
}

func TestPiecesHaveOneSpelling(t *testing.T) {
	for _, text := range []string{"3+2/0", "3+2/4", "1+1/1", "10+4/13"} {
		p, err := ParsePiece(text)
		if err != nil || p.String() != text {
			t.Errorf("%s reads as %s, %v", text, p, err)
		}
		b, err := json.Marshal(struct{ P Piece }{p})
		var back struct{ P Piece }
		if err := errors.Join(err, json.Unmarshal(b, &back)); err != nil || back.P != p {
			t.Errorf("%s in JSON: %s, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "3+2", "3+2/5", "3+2/", "3+2/04", "03+2/1", "3 2/1", "3+2/1/", "0+2/0", "3+0/0", "12+5/0", "3+2/-1", "3+2/300", "300+2/1", "+/"} {
		if p, err := ParsePiece(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q reads as %+v, %v", text, p, err)
		}
	}
	var none Piece
	if err := none.UnmarshalText(nil); err != nil || !none.IsChunk() || none.Size(7) != 7 {
		t.Errorf("the whole chunk: %+v, %v", none, err)
	}
	if got := (Piece{DefaultScheme, 1}).Size(ChunkSize); got != 699_051 {
		t.Errorf("a fragment of 2 MiB has %d bytes", got)
	}
}
