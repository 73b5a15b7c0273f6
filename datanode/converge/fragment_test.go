package converge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
)

// lying is holding of a video that lies in fragments.
func lying(n byte, index int, class vstack.StorageClass) at {
	h := holding(n, index, class)
	h.Scheme = vstack.DefaultScheme
	return h
}

func part(i uint8) vstack.Piece { return vstack.Piece{Scheme: vstack.DefaultScheme, I: i} }

// pieces are what is here of chunk n and not damaged: -1 for the copy, and fragment numbers.
func pieces(disk *superblock.Store, n byte) (out []int) {
	for _, info := range disk.Pieces(vstack.ChunkIDOf(body(n))) {
		switch {
		case info.Bad:
		case info.Piece.IsChunk():
			out = append(out, -1)
		default:
			out = append(out, int(info.Piece.I))
		}
	}
	slices.Sort(out)
	return out
}

// classy is a loop over a log that may have fragments, which counts what it fetches.
func classy(t *testing.T, v view, whole uint64, asked *[]vstack.Scheme) (*Loop, *superblock.Store) {
	var mu sync.Mutex // of asked: several chunks are fetched at a time
	l, disk := loop(t, v, func(cfg *Config) {
		cfg.Answer = allWhole(1, whole)
		cfg.Fetch = func(_ context.Context, s vstack.Slot, _ vstack.Value, scheme vstack.Scheme) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			*asked = append(*asked, scheme)
			return body(s.Video[0]), nil
		}
	})
	if err := disk.Upgrade(t.Context(), format.V3); err != nil {
		t.Fatal(err)
	}
	return l, disk
}

func keepPart(t *testing.T, disk *superblock.Store, n byte, p vstack.Piece, data []byte) {
	t.Helper()
	v := vstack.Value{Chunk: vstack.ChunkIDOf(body(n)), Size: 4}
	if _, err := disk.Append(t.Context(), superblock.Record{Kind: superblock.KindFragment, Value: v, Piece: p, Data: data}); err != nil {
		t.Fatal(err)
	}
}

func fragmentOf(t *testing.T, n byte, i uint8) []byte {
	t.Helper()
	codec, err := erasure.New(vstack.DefaultScheme)
	if err != nil {
		t.Fatal(err)
	}
	b, err := codec.Fragment(body(n), i)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPiecesFollowTheClass: what a store has of a chunk, by what its class asks for.
func TestPiecesFollowTheClass(t *testing.T) {
	rs := vstack.DefaultScheme
	const copyOf, whole, lacks = -1, viewed, 4
	for name, c := range map[string]struct {
		of     at
		has    []int // before
		whole  uint64
		want   []int
		asked  []vstack.Scheme // of peers
		claims uint64
	}{
		"cooling, with the copy":            {lying(1, 1, vstack.ClassCooling), []int{copyOf}, lacks, []int{copyOf, 1}, nil, viewed},
		"cooling, a tail":                   {lying(1, 4, vstack.ClassCooling), nil, lacks, []int{4}, []vstack.Scheme{{}}, viewed},
		"cooling, an acceptor without":      {lying(1, 0, vstack.ClassCooling), nil, lacks, []int{copyOf, 0}, []vstack.Scheme{{}}, viewed},
		"cold, somebody lacks a fragment":   {lying(1, 0, vstack.ClassCold), []int{copyOf, 0}, lacks, []int{copyOf, 0}, nil, viewed},
		"cold, everybody has theirs":        {lying(1, 0, vstack.ClassCold), []int{copyOf, 0}, whole, []int{0}, nil, viewed},
		"cold, a lost fragment":             {lying(1, 3, vstack.ClassCold), nil, whole, []int{3}, []vstack.Scheme{rs}, viewed},
		"cold, of a copy that was left":     {lying(1, 2, vstack.ClassCold), []int{copyOf}, lacks, []int{copyOf, 2}, nil, viewed},
		"cold, another's fragment":          {lying(1, 2, vstack.ClassCold), []int{1, 2}, whole, []int{2}, nil, viewed},
		"warming, an acceptor":              {lying(1, 2, vstack.ClassWarming), []int{2}, lacks, []int{copyOf, 2}, []vstack.Scheme{rs}, viewed},
		"warming, a tail":                   {lying(1, 3, vstack.ClassWarming), []int{3}, whole, []int{3}, nil, viewed},
		"hot again, not everywhere":         {holding(1, 2, vstack.ClassHot), []int{copyOf, 2}, lacks, []int{copyOf, 2}, nil, viewed},
		"hot again":                         {holding(1, 2, vstack.ClassHot), []int{copyOf, 2}, whole, []int{copyOf}, nil, viewed},
		"hot again, a tail":                 {holding(1, 3, vstack.ClassHot), []int{3}, whole, nil, nil, viewed},
		"cold, and this chunk stays a copy": {holding(1, 0, vstack.ClassCold), []int{copyOf}, whole, []int{copyOf}, nil, viewed},
		"cold, a store that left":           {lying(1, -1, vstack.ClassCold), []int{3}, whole, nil, nil, viewed},
		"cold, a store that left too early": {lying(1, -1, vstack.ClassCold), []int{3}, lacks, []int{3}, nil, viewed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []vstack.Scheme
				l, disk := classy(t, view{c.of}, c.whole, &asked)
				defer disk.Close() //nolint:errcheck // the test is over
				for _, i := range c.has {
					if i == copyOf {
						keep(t, disk, 1)
					} else {
						keepPart(t, disk, 1, part(uint8(i)), fragmentOf(t, 1, uint8(i)))
					}
				}
				passes(t, l)
				if got := pieces(disk, 1); !slices.Equal(got, c.want) {
					t.Errorf("has %v, want %v", got, c.want)
				}
				if !slices.Equal(asked, c.asked) {
					t.Errorf("asked peers for %v, want %v", asked, c.asked)
				}
				for _, i := range c.want {
					if i == copyOf {
						continue
					}
					want := fragmentOf(t, 1, uint8(i))
					got := make([]byte, len(want))
					if _, err := disk.ReadPieceAt(t.Context(), vstack.ChunkIDOf(body(1)), part(uint8(i)), got, 0); err != nil || !bytes.Equal(got, want) {
						t.Errorf("fragment %d is %x, want %x (%v)", i, got, want, err)
					}
				}
				for _, claim := range l.Claims() {
					if claim.PG == c.of.Slot.PG() && claim.Complete != c.claims {
						t.Errorf("claims to be complete through %d, want %d", claim.Complete, c.claims)
					}
				}
			})
		})
	}
}

// TestALackingFragmentIsNotClaimed: the group is whole through nothing after the class before.
func TestALackingFragmentIsNotClaimed(t *testing.T) {
	for _, class := range []vstack.StorageClass{vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming} {
		h := lying(1, 4, class) // of class index 5
		l, disk := loop(t, view{h}, func(cfg *Config) {
			cfg.Fetch = func(context.Context, vstack.Slot, vstack.Value, vstack.Scheme) ([]byte, error) {
				return nil, errors.New("nobody has it now")
			}
		})
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range l.Claims() {
			if want := uint64(viewed); c.PG != h.Slot.PG() && c.Complete != want || c.PG == h.Slot.PG() && c.Complete != 4 {
				t.Errorf("%s: the claim of group %d is %d", class, c.PG, c.Complete)
			}
		}
		if missing, _ := l.Lacking(); missing != 1 {
			t.Errorf("%s: %d chunks lack something", class, missing)
		}
		_ = disk.Close()
	}
}

// TestALogThatHasNotFollowedTheLevelGoesOn: its store lacks the fragment until it has.
func TestALogThatHasNotFollowedTheLevelGoesOn(t *testing.T) {
	h := lying(1, 0, vstack.ClassCooling)
	l, disk := loop(t, view{h}, nil)
	keep(t, disk, 1)
	for range 2 {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if missing, _ := l.Lacking(); missing != 1 {
		t.Errorf("%d chunks lack something", missing)
	}
	if err := disk.Upgrade(t.Context(), format.V3); err != nil {
		t.Fatal(err)
	}
	if err := l.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pieces(disk, 1); !slices.Equal(got, []int{-1, 0}) {
		t.Errorf("has %v", got)
	}
	_ = disk.Close()
}

// TestARottenCopyGivesNoFragment: its checksums are right, and it does not hash to its name.
func TestARottenCopyGivesNoFragment(t *testing.T) {
	var asked []vstack.Scheme
	l, disk := classy(t, view{lying(1, 0, vstack.ClassCooling)}, viewed, &asked)
	v := vstack.Value{Chunk: vstack.ChunkIDOf(body(1)), Size: 4}
	if _, err := disk.Append(t.Context(), superblock.Record{Kind: superblock.KindChunk, Data: []byte("rot."), Value: v}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, len(fragmentOf(t, 1, 0)))
	if _, err := disk.ReadPieceAt(t.Context(), v.Chunk, part(0), got, 0); err != nil || !bytes.Equal(got, fragmentOf(t, 1, 0)) {
		t.Errorf("fragment is %q, %v", got, err)
	}
	copied := make([]byte, 4)
	if _, err := disk.ReadPieceAt(t.Context(), v.Chunk, vstack.Piece{}, copied, 0); err != nil || !bytes.Equal(copied, body(1)) {
		t.Errorf("the copy is %q, %v: it was not healed", copied, err)
	}
	_ = disk.Close()
}

// TestAChunkOfTwoVideosHasWhatBothAskFor: one of them is hot, and in the other's group the
// store has another number.
func TestAChunkOfTwoVideosHasWhatBothAskFor(t *testing.T) {
	hot, cold, other := holding(1, 1, vstack.ClassHot), lying(2, 3, vstack.ClassCold), lying(3, 4, vstack.ClassCold)
	cold.Chunk, other.Chunk = hot.Chunk, hot.Chunk
	if hot.Slot.PG() == cold.Slot.PG() || cold.Slot.PG() == other.Slot.PG() || hot.Slot.PG() == other.Slot.PG() {
		t.Fatal("two slots share a group")
	}
	synctest.Test(t, func(t *testing.T) {
		var asked []vstack.Scheme
		l, disk := classy(t, view{hot, cold, other}, viewed, &asked)
		defer disk.Close() //nolint:errcheck // the test is over
		keep(t, disk, 1)
		passes(t, l)
		if got := pieces(disk, 1); !slices.Equal(got, []int{-1, 3, 4}) || len(asked) != 0 {
			t.Errorf("has %v, asked %v", got, asked)
		}
	})
}
