package reconfigure

import (
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// TestANewHostIsFilledAsFastAsItCopies shares roles out to a host that joined: never more
// groups at once than may lack something, one newcomer each, and nothing while a target of a
// group lacks anything.
func TestANewHostIsFilledAsFastAsItCopies(t *testing.T) {
	w := newWorld(t, 5, 2, 2) // ten stores with roles, and one on each of two new hosts
	w.balance = true
	w.filled = &[vstack.PlacementGroups]bool{}
	for pg := range w.filled {
		w.filled[pg] = true
	}
	if d := w.look(time.Second); len(d.Changes) > 0 {
		t.Fatalf("%d groups begin before anybody said what it lacks", len(d.Changes))
	}
	fresh := map[vstack.StoreID][]vstack.PG{} // what newcomers have yet to copy
	left := 0
	for round := 0; ; round++ {
		w.survey(fresh)
		d := w.look(time.Second)
		if d.Uneven == 0 {
			break
		}
		if round > 200 {
			t.Fatal("it never ends")
		}
		lacking := 0
		for _, pgs := range fresh {
			lacking += len(pgs)
		}
		next := map[vstack.StoreID][]vstack.PG{}
		for _, c := range d.Changes {
			if c.Reason != Skewed {
				t.Fatalf("group %d changes because %s", c.PG, c.Reason)
			}
			for id, pgs := range fresh {
				if slices.Contains(pgs, c.PG) {
					t.Fatalf("group %d changes while store %s lacks something of it", c.PG, id)
				}
			}
			joined := 0
			for _, id := range c.Targets {
				if w.m.Groups[c.PG].Index(id) < 0 {
					next[id] = append(next[id], c.PG)
					joined++
				}
			}
			if joined > 1 {
				t.Fatalf("group %d takes %d stores at once", c.PG, joined)
			}
			lacking += joined
		}
		if lacking > Together {
			t.Fatalf("%d groups lack something at once", lacking)
		}
		w.activate()
		if round%2 == 0 {
			fresh = next // what was copied in this round is there, what joined is not
		} else {
			for id, pgs := range next {
				fresh[id] = append(fresh[id], pgs...)
			}
		}
		left = d.Uneven
	}
	t.Logf("the last look had %d groups to go", left)
	counts := map[vstack.StoreID]int{}
	for _, s := range w.m.Stores {
		counts[s.ID] = w.roles(s.ID)
		if n := counts[s.ID]; n < 53 || n > 54 { // 640 ÷ 12
			t.Errorf("store %s has %d roles", s.ID, n)
		}
	}
}

func TestACordonedStoreTakesNothingAndKeepsWhatItHas(t *testing.T) {
	w := newWorld(t, 4, 1, 2)
	cordoned, spare := id(0, 0), id(4, 0)
	w.store(cordoned).Cordoned, w.store(spare).Cordoned = true, true
	had := w.roles(cordoned)
	w.store(id(1, 0)).Leaving = vstack.LeaveOrdered
	w.survey(nil)
	w.settle()
	if w.roles(id(1, 0)) != 0 || w.roles(spare) != 0 || w.roles(cordoned) != had {
		t.Errorf("the leaving one has %d, the cordoned spare %d, the cordoned one %d of %d", w.roles(id(1, 0)), w.roles(spare), w.roles(cordoned), had)
	}
}

// TestFiveStoresBecomeFour drains one of five: groups do with four targets, but for those in
// which something lies in fragments.
func TestFiveStoresBecomeFour(t *testing.T) {
	w := newWorld(t, 5, 1, 0)
	w.cold = &[vstack.PlacementGroups]bool{7: true}
	gone := id(2, 0)
	s := State{Map: w.m, Fragmented: w.cold, Now: w.now}
	if roles, n, err := Movable(s, vstack.StoreID{}, gone); err != nil || roles != vstack.PlacementGroups || n != roles-1 {
		t.Fatalf("%d of %d can move: %v", n, roles, err)
	}
	w.store(gone).Leaving = vstack.LeaveOrdered
	w.settle()
	for pg, g := range w.m.Groups {
		if pg == 7 {
			if g.Index(gone) < 0 || len(g.Targets) != 5 {
				t.Errorf("group %d lies in fragments and is %v", pg, g.Targets)
			}
		} else if g.Index(gone) >= 0 || len(g.Targets) != 4 {
			t.Errorf("group %d is %v", pg, g.Targets)
		}
	}
	w.cold[7] = false
	w.settle()
	if n := w.roles(gone); n != 0 {
		t.Errorf("it keeps %d roles once nothing lies in fragments", n)
	}
	// And back: it is a spare now, and roles are shared out again.
	w.store(gone).Leaving, w.balance = "", true
	w.settle()
	for pg, g := range w.m.Groups {
		if len(g.Targets) != 5 {
			t.Errorf("group %d has %d targets again", pg, len(g.Targets))
		}
	}
}

// TestWiderGroupsTakeAStoreAtATime: a scheme of eight fragments on eight stores. What is new goes
// from no store to another.
func TestWiderGroupsTakeAStoreAtATime(t *testing.T) {
	w := newWorld(t, 4, 2, 0)
	w.m.Targets, w.balance = 8, true
	plan, err := Shares(State{Map: w.m})
	if err != nil || plan.Added != 3*vstack.PlacementGroups || plan.Roles != 0 || plan.Groups != vstack.PlacementGroups {
		t.Fatalf("the plan: %+v, %v", plan, err)
	}
	for round := 0; ; round++ {
		w.survey(nil)
		d := w.look(time.Second)
		if d.Uneven == 0 {
			break
		}
		if round > 200 {
			t.Fatal("it never ends")
		}
		for _, c := range d.Changes {
			if was := w.m.Groups[c.PG].Targets; len(c.Targets) != len(was)+1 || !slices.Equal(c.Targets[:len(was)], was) {
				t.Fatalf("group %d goes from %v to %v", c.PG, was, c.Targets)
			}
		}
		w.activate()
	}
	for _, s := range w.m.Stores {
		if n := w.roles(s.ID); n != vstack.PlacementGroups {
			t.Errorf("store %s has %d roles", s.ID, n)
		}
	}
}
