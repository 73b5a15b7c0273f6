package reconfigure

import (
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestAGroupIsWholeThroughTheLowestClaimOfItsTargets(t *testing.T) {
	const pg = vstack.PG(3)
	for name, c := range map[string]struct {
		change  func(w *world, s *State, targets []vstack.StoreID)
		whole   uint64
		missing int // index of the target, -1 for none
	}{
		"all said so":                   {func(*world, *State, []vstack.StoreID) {}, 10, -1},
		"an acceptor lacks something":   {func(w *world, _ *State, ts []vstack.StoreID) { w.claims[ts[1]][pg] = Claim{1, 4, 10, 4} }, 4, -1},
		"a tail lacks something":        {func(w *world, _ *State, ts []vstack.StoreID) { w.claims[ts[4]][pg] = Claim{1, 4, 10, 4} }, 4, -1},
		"the first is read again":       {func(w *world, _ *State, ts []vstack.StoreID) { w.claims[ts[0]][pg] = Claim{1, 0, 0, 0} }, 0, -1},
		"one spoke of the epoch before": {func(w *world, _ *State, ts []vstack.StoreID) { w.claims[ts[2]][pg] = Claim{0, 10, 10, 10} }, 0, 2},
		"one speaks of the next epoch":  {func(w *world, _ *State, ts []vstack.StoreID) { w.claims[ts[2]][pg] = Claim{2, 10, 10, 10} }, 0, 2},
		"one says nothing of the group": {func(w *world, _ *State, ts []vstack.StoreID) { delete(w.claims[ts[0]], pg) }, 0, 0},
		"one is from before claims":     {func(w *world, _ *State, ts []vstack.StoreID) { w.claims[ts[3]] = nil }, 0, 3},
		"one is suspect":                {func(w *world, _ *State, ts []vstack.StoreID) { w.store(ts[4]).State = vstack.StoreSuspect }, 0, 4},
		"one is silent":                 {func(_ *world, s *State, ts []vstack.StoreID) { s.Silent = map[vstack.StoreID]bool{ts[1]: true} }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 5, 1, 0)
			w.m.Version = 9
			w.survey(nil)
			targets := w.m.Groups[pg].Targets
			s := State{Map: w.m}
			c.change(w, &s, targets)
			s.Claims = w.claims
			got := NewWholes(s).Of(pg)
			if got.Index != c.whole || got.Epoch != 1 || (len(got.Missing) > 0) != (c.missing >= 0) {
				t.Fatalf("whole %+v, want through %d", got, c.whole)
			}
			if c.missing >= 0 && got.Missing[0] != targets[c.missing] {
				t.Errorf("missing %v, want target %d", got.Missing, c.missing)
			}
			if c.missing < 0 && got.Surveyed != 10 {
				t.Errorf("surveyed at %d", got.Surveyed)
			}
		})
	}
}

func TestATargetThatIsAwayStopsDropsUntilItIsReplaced(t *testing.T) {
	w := newWorld(t, 5, 1, 1)
	gone := id(0, 0)
	if n := NewWholes(State{Map: w.m}).Stuck(); len(n) != 0 {
		t.Errorf("with everybody there: %v", n)
	}
	w.store(gone).State = vstack.StoreDown
	if n := NewWholes(State{Map: w.m}).Stuck(); len(n) != 1 || n[gone] != vstack.PlacementGroups {
		t.Errorf("with one down: %v", n)
	}
	g := &w.m.Groups[0]
	to := append([]vstack.StoreID{id(5, 0)}, g.Targets[1:]...)
	if g.Index(gone) != 0 {
		to = append(g.Targets[:0:0], g.Targets...)
		to[g.Index(gone)] = id(5, 0)
	}
	g.Next = &vstack.NextEpoch{Epoch: 2, Attempt: 1, Targets: to}
	if n := NewWholes(State{Map: w.m}).Stuck(); n[gone] != vstack.PlacementGroups-1 {
		t.Errorf("with one group on its way to another: %v", n)
	}
}
