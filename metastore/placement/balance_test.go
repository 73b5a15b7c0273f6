package placement

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
)

// TestBalanceKeepsWhatAPlanPromises begins with a plan, lets stores join, go silent and be
// cordoned, and wants groups that are spread, shares that are even, and nothing that moves
// again.
func TestBalanceKeepsWhatAPlanPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		equal := rapid.Bool().Draw(t, "equal hosts")
		c := planned(t, drawStores(t, equal), nil)
		for i := range rapid.IntRange(0, 8).Draw(t, "new stores") {
			s := Store{ID: vstack.StoreID{254, byte(i)}, Host: vstack.HostID(fmt.Sprintf("n%d", rapid.IntRange(0, 3).Draw(t, "host")))}
			c.Stores = append(c.Stores, s)
			c.Open[s.ID] = true
		}
		closed := map[vstack.StoreID]bool{}
		for _, s := range c.Stores {
			if rapid.IntRange(0, 9).Draw(t, "closed") == 0 {
				delete(c.Open, s.ID)
				closed[s.ID] = true
			}
		}
		c.Targets = rapid.IntRange(vstack.Targets, 9).Draw(t, "targets")
		out, err := Balance(c)
		if err != nil {
			t.Fatal(err)
		}
		after := c.after(out)
		for pg, g := range after {
			before := c.Groups[pg]
			if len(g) < len(before) {
				t.Fatalf("group %d had %d targets and has %d", pg, len(before), len(g))
			}
			if c.hosts(g[:vstack.Acceptors]) < c.hosts(before[:vstack.Acceptors]) || c.hosts(g) < c.hosts(before) {
				t.Fatalf("group %d is on fewer hosts: %v, was %v", pg, g, before)
			}
			for i, id := range g {
				if slices.Contains(g[:i], id) {
					t.Fatalf("group %d names %s twice", pg, id)
				}
				if closed[id] && (i >= len(before) || before[i] != id) {
					t.Fatalf("store %s is closed and took a role of group %d", id, pg)
				}
			}
			for i, id := range before {
				if closed[id] && g[i] != id {
					t.Fatalf("store %s is closed and lost its role of group %d", id, pg)
				}
			}
		}
		c.Groups = after
		again, err := Balance(c)
		if err != nil {
			t.Fatal(err)
		}
		if moved := slices.DeleteFunc(again, func(g []vstack.StoreID) bool { return g == nil }); len(moved) > 0 {
			t.Fatalf("%d groups would move again", len(moved))
		}
	})
}

// layouts are clusters of so many hosts with so many stores each.
var layouts = []struct{ hosts, stores int }{{1, 3}, {3, 1}, {3, 2}, {3, 3}, {4, 1}, {4, 2}, {5, 1}, {5, 2}, {5, 3}, {8, 1}, {8, 3}}

func layout(hosts, stores int) (out []Store) {
	for h := range hosts {
		for s := range stores {
			out = append(out, Store{ID: vstack.StoreID{byte(h + 1), byte(s + 1), byte(31 * h)}, Host: vstack.HostID(fmt.Sprintf("h%d", h+1))})
		}
	}
	return out
}

// TestANewHostIsFilled adds a host to each layout: afterwards every store has its share, by
// one role, and hardly more roles moved than the host took.
func TestANewHostIsFilled(t *testing.T) {
	for _, l := range layouts {
		t.Run(fmt.Sprintf("%d hosts of %d", l.hosts, l.stores), func(t *testing.T) {
			stores := layout(l.hosts+1, l.stores)
			old := stores[:l.hosts*l.stores]
			c := planned(t, old, stores[len(old):])
			if out, err := Balance(Change{Groups: c.Groups, Stores: old, Open: c.Open}); err != nil || !reflect.DeepEqual(out, make([][]vstack.StoreID, len(out))) {
				t.Fatalf("a fresh plan is not balanced: %v", err)
			}
			out, err := Balance(c)
			if err != nil {
				t.Fatal(err)
			}
			after := c.after(out)
			var groups [vstack.PlacementGroups][]vstack.StoreID
			copy(groups[:], after)
			s := measure(stores, groups)
			if spreadOf(s.total) > 1 || spreadOf(s.acceptors) > 1 || spreadOf(s.leads) > 1 {
				t.Errorf("roles differ by %d, votes by %d, leads by %d", spreadOf(s.total), spreadOf(s.acceptors), spreadOf(s.leads))
			}
			moved, took := 0, 0
			for pg, g := range after {
				moved += len(without(g, c.Groups[pg]))
			}
			for _, st := range stores[len(old):] {
				took += s.total[st.ID]
			}
			t.Logf("%d roles moved, the new host has %d", moved, took)
			if float64(moved) > 1.1*float64(took) {
				t.Errorf("%d roles moved to give the new host %d", moved, took)
			}
		})
	}
}

// TestGroupsAreWidened gives the groups of each layout more targets: as many as there are stores
// for, as evenly on hosts as it goes, in equal shares, and with hardly a role that
// moves.
func TestGroupsAreWidened(t *testing.T) {
	for _, l := range layouts {
		for _, want := range []int{6, 8, 9, vstack.MaxTargets} {
			t.Run(fmt.Sprintf("%d hosts of %d to %d", l.hosts, l.stores, want), func(t *testing.T) {
				stores := layout(l.hosts, l.stores)
				c := planned(t, stores, nil)
				c.Targets = want
				out, err := Balance(c)
				if err != nil {
					t.Fatal(err)
				}
				total, hosts := map[vstack.StoreID]int{}, map[vstack.StoreID]vstack.HostID{}
				for _, s := range stores {
					hosts[s.ID] = s.Host
				}
				lost := 0
				for pg, g := range c.after(out) {
					lost += len(without(c.Groups[pg], g))
					perHost := map[vstack.HostID]int{}
					for _, id := range g {
						total[id]++
						perHost[hosts[id]]++
					}
					if len(g) != min(want, len(stores)) {
						t.Fatalf("group %d went from %v to %v", pg, c.Groups[pg], g)
					}
					for host, n := range perHost {
						if most := (len(g) + l.hosts - 1) / l.hosts; n > most || len(g) >= l.hosts && n < len(g)/l.hosts {
							t.Fatalf("group %d has %d of %d targets on %s", pg, n, len(g), host)
						}
					}
				}
				if spreadOf(total) > 1 || lost > 128*vstack.Targets/50 {
					t.Errorf("roles differ by %d: %v; %d went to another store", spreadOf(total), total, lost)
				}
			})
		}
	}
}

// TestSharesGoByWeight has one host whose disks are half as large again.
func TestSharesGoByWeight(t *testing.T) {
	stores := layout(8, 2)
	c := planned(t, stores, nil)
	for i := range stores {
		stores[i].Weight = 4
	}
	stores[0].Weight, stores[1].Weight = 6, 6
	c.Stores = stores
	if off, err := Excess(c); err != nil || off < 0.25 {
		t.Fatalf("%.2f off its share: %v", off, err)
	}
	out, err := Balance(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Groups = c.after(out)
	var groups [vstack.PlacementGroups][]vstack.StoreID
	copy(groups[:], c.Groups)
	total := measure(stores, groups).total
	unit := float64(vstack.PlacementGroups*vstack.Targets) / (2*6 + 14*4)
	for _, s := range stores {
		if want := unit * float64(s.Weight); math.Abs(float64(total[s.ID])-want) > 1 {
			t.Errorf("store %s of weight %d has %d roles, its share is %.1f", s.ID, s.Weight, total[s.ID], want)
		}
	}
	if off, err := Excess(c); err != nil || off != 0 {
		t.Errorf("%.2f off its share afterwards: %v", off, err)
	}
}

// TestStepsBringOneStoreEach walks from a plan of three hosts to one of eight.
func TestStepsBringOneStoreEach(t *testing.T) {
	stores := layout(8, 3)
	hosts := map[vstack.StoreID]vstack.HostID{}
	for _, s := range stores {
		hosts[s.ID] = s.Host
	}
	c := planned(t, stores[:9], stores[9:])
	out, err := Balance(c)
	if err != nil {
		t.Fatal(err)
	}
	for pg, to := range out {
		at := c.Groups[pg]
		for n := 0; to != nil && !slices.Equal(at, to); n++ {
			next := Step(at, to, hosts)
			if n > 2*vstack.Targets || len(without(next, at)) > 1 || acceptorHosts(next, hosts) < acceptorHosts(at, hosts) {
				t.Fatalf("group %d steps from %v to %v on its way to %v", pg, at, next, to)
			}
			at = next
		}
	}
}
