package holdings

import (
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// placed makes n slots of a track, of which holders says who holds each.
func placed(track uint16, n int, holders func(seq int) []vstack.StoreID, scheme vstack.Scheme) (out []wire.SlotPlacement) {
	for seq := range n {
		out = append(out, wire.SlotPlacement{Slot: vstack.Slot{Track: track, Seq: uint32(seq)}, Holders: holders(seq), Scheme: scheme})
	}
	return out
}

func TestAShortFilmHasAColumnAChunk(t *testing.T) {
	a, b := vstack.StoreID{1}, vstack.StoreID{2}
	g := Of(wire.VideoPlacement{HostsCanFail: 1, Slots: placed(1, 5, func(seq int) []vstack.StoreID {
		if seq < 2 {
			return []vstack.StoreID{b}
		}
		return []vstack.StoreID{a, b}
	}, vstack.Scheme{})})
	if g.Columns != 5 || g.Chunks != 5 || len(g.Stores) != 2 {
		t.Fatalf("%+v", g)
	}
	if r := g.Stores[0]; r.Store != a || r.Copies != "00999" || r.Chunks != 3 || r.Fragments != "" {
		t.Errorf("a: %+v", r)
	}
	if r := g.Stores[1]; r.Copies != "99999" || r.Chunks != 5 {
		t.Errorf("b: %+v", r)
	}
}

func TestALongFilmIsDrawnAsSmall(t *testing.T) {
	a := vstack.StoreID{1}
	every := func(seq int) []vstack.StoreID {
		if seq%2 == 0 {
			return []vstack.StoreID{a}
		}
		return nil
	}
	slots := append(placed(1, 12_000, every, vstack.Scheme{}), placed(2, 40, every, vstack.Scheme{})...)
	g := Of(wire.VideoPlacement{Slots: slots})
	if g.Columns != MaxColumns || len(g.Stores[0].Copies) != MaxColumns {
		t.Fatalf("%d columns", g.Columns)
	}
	if strings.Trim(g.Stores[0].Copies, "45") != "" {
		t.Errorf("half of every stretch is %s", g.Stores[0].Copies)
	}
}

func TestFragmentsHaveARowOfTheirOwn(t *testing.T) {
	a := vstack.StoreID{1}
	only := func(int) []vstack.StoreID { return []vstack.StoreID{a} }
	slots := append(placed(1, 2, only, vstack.Scheme{}), placed(1, 4, only, vstack.Scheme{K: 3, M: 2})[2:]...)
	g := Of(wire.VideoPlacement{Slots: slots})
	if r := g.Stores[0]; r.Copies != "9900" || r.Fragments != "0099" || r.Chunks != 4 {
		t.Errorf("%+v", r)
	}
}

func TestNothingStoredIsAnEmptyGrid(t *testing.T) {
	if g := Of(wire.VideoPlacement{}); g.Columns != 0 || g.Stores == nil {
		t.Errorf("%+v", g)
	}
}
