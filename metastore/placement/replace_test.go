package placement

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
)

// planned is a change over a plan of some stores, before anything leaves.
func planned(t interface{ Fatal(...any) }, stores, spares []Store) Change {
	plan, err := Plan(stores)
	if err != nil {
		t.Fatal(err)
	}
	c := Change{Groups: plan[:], Stores: append(slices.Clone(stores), spares...),
		Leaving: map[vstack.StoreID]vstack.StoreID{}, Open: map[vstack.StoreID]bool{}}
	for _, s := range c.Stores {
		c.Open[s.ID] = true
	}
	return c
}

func (c *Change) leave(s Store, with vstack.StoreID) {
	c.Leaving[s.ID] = with
	delete(c.Open, s.ID)
}

func (c *Change) hosts(ids []vstack.StoreID) int {
	var seen []vstack.HostID
	for _, s := range c.Stores {
		if slices.Contains(ids, s.ID) && !slices.Contains(seen, s.Host) {
			seen = append(seen, s.Host)
		}
	}
	return len(seen)
}

// after are the groups once the change is made.
func (c *Change) after(out [][]vstack.StoreID) [][]vstack.StoreID {
	groups := slices.Clone(c.Groups)
	for pg, targets := range out {
		if targets != nil {
			groups[pg] = targets
		}
	}
	return groups
}

func drawChange(t *rapid.T) Change {
	stores := drawStores(t, rapid.Bool().Draw(t, "equal hosts"))
	var spares []Store
	for i := range rapid.IntRange(0, 4).Draw(t, "spares") {
		spares = append(spares, Store{ID: vstack.StoreID{254, byte(i)}, Host: vstack.HostID(fmt.Sprintf("h%d", rapid.IntRange(0, 12).Draw(t, "host of spare")))})
	}
	c := planned(t, stores, spares)
	for _, s := range c.Stores {
		switch rapid.IntRange(0, 9).Draw(t, "fate") {
		case 0, 1:
			var with vstack.StoreID
			if rapid.Bool().Draw(t, "wanted") {
				with = rapid.SampledFrom(c.Stores).Draw(t, "with").ID
			}
			c.leave(s, with)
		case 2:
			delete(c.Open, s.ID) // down, and not given up yet
		}
	}
	return c
}

func TestReplaceMovesOnlyWhatItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawChange(t)
		out, err := Replace(c)
		if err != nil {
			t.Fatal(err)
		}
		for pg, g := range c.after(out) {
			old := c.Groups[pg]
			if out[pg] != nil && slices.Equal(out[pg], old) {
				t.Fatalf("group %d: the same targets are called a change", pg)
			}
			checkMoves(t, c, pg, old, g)
			checkSpread(t, c, pg, old, g)
		}
		again := c
		again.Groups = c.after(out)
		if more, err := Replace(again); err != nil || !reflect.DeepEqual(more, make([][]vstack.StoreID, len(out))) {
			t.Fatalf("what was replaced moves again: %v", err)
		}
		c.Stores = rapid.Permutation(c.Stores).Draw(t, "order")
		if same, err := Replace(c); err != nil || !reflect.DeepEqual(same, out) {
			t.Fatalf("another order of the same stores gives another answer: %v", err)
		}
	})
}

// checkMoves wants distinct targets, new roles for open stores alone, and every other
// target at its place unless it was promoted from tail to acceptor.
func checkMoves(t *rapid.T, c Change, pg int, old, g []vstack.StoreID) {
	if len(g) != len(old) {
		t.Fatalf("group %d: %d targets became %d", pg, len(old), len(g))
	}
	for i, id := range g {
		if slices.Contains(g[:i], id) {
			t.Fatalf("group %d names %s twice", pg, id)
		}
		was := slices.Index(old, id)
		switch _, leaving := c.Leaving[id]; {
		case was == i:
		case leaving:
			if was >= vstack.Acceptors || i < vstack.Acceptors {
				t.Fatalf("group %d: leaving %s moved from %d to %d", pg, id, was, i)
			}
		case !c.Open[id]:
			t.Fatalf("group %d: %s took place %d and is not open", pg, id, i)
		case was >= 0 && (was < vstack.Acceptors || i >= vstack.Acceptors):
			t.Fatalf("group %d: %s moved from %d to %d", pg, id, was, i)
		}
		if was != i {
			if _, left := c.Leaving[old[i]]; !left && i < vstack.Acceptors {
				t.Fatalf("group %d: %s took the place of %s, which stays", pg, id, old[i])
			}
		}
	}
}

// checkSpread wants as many hosts under the acceptors as before, and a role left with a
// leaving store only where nothing could take it.
func checkSpread(t *rapid.T, c Change, pg int, old, g []vstack.StoreID) {
	had := c.hosts(old[:vstack.Acceptors])
	if n := c.hosts(g[:vstack.Acceptors]); n < had {
		t.Fatalf("group %d: acceptors on %d hosts, before on %d", pg, n, had)
	}
	for i, id := range g {
		if _, leaving := c.Leaving[id]; !leaving {
			continue
		}
		for _, s := range c.Stores { // few groups come here
			at := slices.Index(g, s.ID)
			if !c.Open[s.ID] || at >= 0 && at < vstack.Acceptors {
				continue
			}
			if i >= vstack.Acceptors {
				if at < 0 {
					t.Fatalf("group %d: leaving %s keeps tail %d, though %s is free", pg, id, i, s.ID)
				}
				continue
			}
			with := slices.Clone(g[:vstack.Acceptors])
			with[i] = s.ID
			if c.hosts(with) >= had {
				t.Fatalf("group %d: leaving %s keeps vote %d, though %s could take it", pg, id, i, s.ID)
			}
		}
	}
}

func grid(hosts, each int) (stores []Store) {
	for h := range hosts {
		for s := range each {
			stores = append(stores, Store{ID: vstack.StoreID{byte(h), byte(s), 7}, Host: vstack.HostID(fmt.Sprintf("h%d", h))})
		}
	}
	return stores
}

func TestReplaceSharesTheRolesOut(t *testing.T) {
	for _, hosts := range []int{5, 8} {
		for each := 1; each <= 3; each++ {
			t.Run(fmt.Sprintf("%d hosts of %d", hosts, each), func(t *testing.T) {
				spares := []Store{{ID: vstack.StoreID{200}, Host: "new1"}, {ID: vstack.StoreID{201}, Host: "new2"}}
				c := planned(t, grid(hosts, each), spares)
				gone := c.Stores[0]
				c.leave(gone, vstack.StoreID{})
				out, err := Replace(c)
				if err != nil {
					t.Fatal(err)
				}
				before, after := measure(c.Stores, [vstack.PlacementGroups][]vstack.StoreID(c.Groups)), measure(c.Stores, [vstack.PlacementGroups][]vstack.StoreID(c.after(out)))
				if after.total[gone.ID] != 0 {
					t.Errorf("it keeps %d roles", after.total[gone.ID])
				}
				// Empty stores take them; nobody who had a share gets more than it.
				if got := after.acceptors[spares[0].ID] + after.acceptors[spares[1].ID]; got != before.acceptors[gone.ID] {
					t.Errorf("the spares took %d of %d votes", got, before.acceptors[gone.ID])
				}
				if a, b := after.acceptors[spares[0].ID], after.acceptors[spares[1].ID]; a-b > 1 || b-a > 1 {
					t.Errorf("they share them %d to %d", a, b)
				}
			})
		}
	}
}

func TestReplaceHonoursAWish(t *testing.T) {
	spares := []Store{{ID: vstack.StoreID{200}, Host: "new1"}, {ID: vstack.StoreID{201}, Host: "h0"}}
	for _, want := range spares {
		c := planned(t, grid(5, 1), spares)
		c.leave(c.Stores[0], want.ID) // of h0
		out, err := Replace(c)
		if err != nil {
			t.Fatal(err)
		}
		s := measure(c.Stores, [vstack.PlacementGroups][]vstack.StoreID(c.after(out)))
		if s.total[want.ID] != vstack.PlacementGroups {
			t.Errorf("%s was wanted and got %d roles", want.ID, s.total[want.ID])
		}
	}
	// On the host of another acceptor it would cost a host: then it gets tails only.
	c := planned(t, grid(4, 1), []Store{{ID: vstack.StoreID{200}, Host: "h1"}})
	c.leave(c.Stores[0], vstack.StoreID{200})
	out, err := Replace(c)
	if err != nil {
		t.Fatal(err)
	}
	for pg, g := range c.after(out) {
		if n := c.hosts(g[:vstack.Acceptors]); n != 3 {
			t.Fatalf("group %d: acceptors on %d hosts", pg, n)
		}
	}
}

func TestALostHostOfThreeKeepsItsVotes(t *testing.T) {
	c := planned(t, grid(3, 2), nil)
	c.leave(c.Stores[0], vstack.StoreID{})
	c.leave(c.Stores[1], vstack.StoreID{}) // the host
	out, err := Replace(c)
	if err != nil {
		t.Fatal(err)
	}
	for pg, g := range c.after(out) {
		if !slices.Equal(g[:vstack.Acceptors], c.Groups[pg][:vstack.Acceptors]) {
			t.Fatalf("group %d: acceptors %v became %v", pg, c.Groups[pg][:3], g[:3])
		}
	}
	// One store of it alone: the other takes its votes, promoted where it was a tail.
	c = planned(t, grid(3, 2), nil)
	c.leave(c.Stores[0], vstack.StoreID{})
	if out, err = Replace(c); err != nil {
		t.Fatal(err)
	}
	for pg, g := range c.after(out) {
		if slices.Contains(g, c.Stores[0].ID) || c.hosts(g[:vstack.Acceptors]) != 3 {
			t.Fatalf("group %d: %v", pg, g)
		}
	}
}

// TestASpreadThatOneMoveImprovedDoesNotHoldTheNext is a case that random changes found.
func TestASpreadThatOneMoveImprovedDoesNotHoldTheNext(t *testing.T) {
	a, b, c := Store{ID: vstack.StoreID{1}, Host: "h0"}, Store{ID: vstack.StoreID{2}, Host: "h0"}, Store{ID: vstack.StoreID{3}, Host: "h1"}
	far, near := Store{ID: vstack.StoreID{4}, Host: "h2"}, Store{ID: vstack.StoreID{5}, Host: "h1"}
	change := planned(t, []Store{a, b, c}, []Store{far, near})
	change.leave(a, vstack.StoreID{})
	change.leave(b, vstack.StoreID{})
	out, err := Replace(change)
	if err != nil {
		t.Fatal(err)
	}
	for pg, g := range change.after(out) {
		if slices.Contains(g, a.ID) || slices.Contains(g, b.ID) {
			t.Fatalf("group %d: %v", pg, g)
		}
	}
}

func TestReplaceRefusesUnknownStores(t *testing.T) {
	c := planned(t, grid(3, 1), nil)
	c.Groups[5] = []vstack.StoreID{{9}, {8}, {7}}
	if _, err := Replace(c); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a target that is no store: %v", err)
	}
	c = planned(t, grid(3, 1), grid(1, 1))
	if _, err := Replace(c); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a store twice: %v", err)
	}
	c.Groups = make([][]vstack.StoreID, vstack.PlacementGroups+1)
	if _, err := Replace(c); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("too many groups: %v", err)
	}
}
