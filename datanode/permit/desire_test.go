package permit

import (
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestDesire(t *testing.T) {
	rs := vstack.DefaultScheme
	part := func(i uint8) vstack.Piece { return vstack.Piece{Scheme: rs, I: i} }
	for _, c := range []struct {
		class  vstack.StorageClass
		scheme vstack.Scheme
		index  int
		number vstack.FragmentNumber
		want   Desire
	}{
		{vstack.ClassHot, rs, 0, 0, Desire{Chunk: true}}, {vstack.ClassHot, rs, 2, 2, Desire{Chunk: true}}, {vstack.ClassHot, rs, 3, 3, Desire{}},
		{vstack.ClassCooling, rs, 2, 2, Desire{true, part(2)}}, {vstack.ClassCooling, rs, 3, 3, Desire{Fragment: part(3)}},
		{vstack.ClassCold, rs, 0, 0, Desire{Fragment: part(0)}}, {vstack.ClassCold, rs, 4, 4, Desire{Fragment: part(4)}},
		{vstack.ClassWarming, rs, 0, 0, Desire{true, part(0)}}, {vstack.ClassWarming, rs, 4, 4, Desire{Fragment: part(4)}},
		{vstack.ClassHot, rs, -1, 0, Desire{}}, {vstack.ClassCooling, rs, -1, 0, Desire{}}, {vstack.ClassCold, rs, -1, 0, Desire{}},
		// The number is the store's, wherever it stands.
		{vstack.ClassCold, rs, 0, 4, Desire{Fragment: part(4)}}, {vstack.ClassCooling, rs, 3, 1, Desire{Fragment: part(1)}},
		// There is no fragment of such a number.
		{vstack.ClassCold, rs, 0, 5, Desire{}}, {vstack.ClassWarming, rs, 1, 7, Desire{Chunk: true}},
		// Init chunks, the hot head and small chunks are copies in every class.
		{vstack.ClassCold, vstack.Scheme{}, 2, 2, Desire{Chunk: true}}, {vstack.ClassCold, vstack.Scheme{}, 3, 3, Desire{}}, {vstack.ClassWarming, vstack.Scheme{}, 0, 0, Desire{Chunk: true}},
	} {
		if got := DesireOf(c.class, c.scheme, c.index, c.number); got != c.want {
			t.Errorf("%s in %s at %d with number %d: %+v, want %+v", c.class, c.scheme, c.index, c.number, got, c.want)
		}
	}
}
