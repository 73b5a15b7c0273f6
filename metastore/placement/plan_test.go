package placement

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
)

func drawStores(t *rapid.T, equal bool) []Store {
	hosts := rapid.IntRange(1, 12).Draw(t, "hosts")
	each := rapid.IntRange(1, 6).Draw(t, "stores a host")
	var stores []Store
	for h := range hosts {
		n := each
		if !equal {
			n = rapid.IntRange(1, 6).Draw(t, "stores of host")
		}
		for range n {
			var id vstack.StoreID
			copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
			id[0], id[1] = byte(h), byte(len(stores)) // distinct
			stores = append(stores, Store{ID: id, Host: vstack.HostID(fmt.Sprintf("h%d", h))})
		}
	}
	for i := 0; len(stores) < vstack.Acceptors; i++ {
		stores = append(stores, Store{ID: vstack.StoreID{255, byte(i)}, Host: "h0"})
	}
	return stores
}

type shape struct {
	host                    map[vstack.StoreID]vstack.HostID
	perHost                 map[vstack.HostID]int
	leads, acceptors, total map[vstack.StoreID]int
}

func measure(stores []Store, groups [vstack.PlacementGroups][]vstack.StoreID) shape {
	s := shape{map[vstack.StoreID]vstack.HostID{}, map[vstack.HostID]int{}, map[vstack.StoreID]int{}, map[vstack.StoreID]int{}, map[vstack.StoreID]int{}}
	for _, st := range stores {
		s.host[st.ID] = st.Host
		s.perHost[st.Host]++
		s.leads[st.ID], s.acceptors[st.ID], s.total[st.ID] = 0, 0, 0
	}
	for _, g := range groups {
		for i, id := range g {
			s.total[id]++
			if i < vstack.Acceptors {
				s.acceptors[id]++
			}
			if i == 0 {
				s.leads[id]++
			}
		}
	}
	return s
}

func spreadOf(m map[vstack.StoreID]int) int {
	v := slices.Collect(maps.Values(m))
	return slices.Max(v) - slices.Min(v)
}

func TestPlanSpreadsAndBalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		equal := rapid.Bool().Draw(t, "equal hosts")
		stores := drawStores(t, equal)
		groups, err := Plan(stores)
		if err != nil {
			t.Fatal(err)
		}
		s := measure(stores, groups)
		uniform := true
		for _, n := range s.perHost {
			uniform = uniform && n == len(stores)/len(s.perHost) && len(stores)%len(s.perHost) == 0
		}
		for pg, g := range groups {
			if len(g) != min(vstack.Targets, len(stores)) {
				t.Fatalf("group %d has %d targets of %d stores", pg, len(g), len(stores))
			}
			checkGroup(t, s, pg, g[:vstack.Acceptors])
			checkGroup(t, s, pg, g)
		}
		if uniform && spreadOf(s.acceptors) > 1 {
			t.Fatalf("acceptor roles differ by %d over equal hosts: %v", spreadOf(s.acceptors), s.acceptors)
		}
		if uniform && spreadOf(s.leads) > 1 {
			t.Fatalf("leads differ by %d over equal hosts: %v", spreadOf(s.leads), s.leads)
		}
		if mean := float64(vstack.PlacementGroups*min(vstack.Targets, len(stores))) / float64(len(stores)); uniform && float64(spreadOf(s.total)) > 2+mean/25 {
			t.Fatalf("roles differ by %d at a mean of %.1f", spreadOf(s.total), mean)
		}
	})
}

// checkGroup wants distinct members, spread so that no host is used twice more than
// one that still has an unused store.
func checkGroup(t *rapid.T, s shape, pg int, g []vstack.StoreID) {
	used := map[vstack.HostID]int{}
	seen := map[vstack.StoreID]bool{}
	for _, id := range g {
		if seen[id] {
			t.Fatalf("group %d names %s twice", pg, id)
		}
		seen[id] = true
		used[s.host[id]]++
	}
	if hosts := min(len(g), len(s.perHost)); len(used) != hosts {
		t.Fatalf("group %d: %d targets on %d hosts, want %d", pg, len(g), len(used), hosts)
	}
	for a := range s.perHost {
		for b, free := range s.perHost {
			if used[b] < free && used[a] > used[b]+1 {
				t.Fatalf("group %d: host %s holds %d targets, %s only %d of %d", pg, a, used[a], b, used[b], free)
			}
		}
	}
}

func TestPlanIgnoresTheOrderOfStores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stores := drawStores(t, false)
		a, err := Plan(stores)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Plan(rapid.Permutation(stores).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatal("another order of the same stores gives another plan")
		}
	})
}

func TestThreeHostsWithTwoStoresHoldFiveFragmentsTwoTwoOne(t *testing.T) {
	var stores []Store
	for h := range 3 {
		for s := range 2 {
			stores = append(stores, Store{ID: vstack.StoreID{byte(h), byte(s), 7}, Host: vstack.HostID(fmt.Sprintf("h%d", h+1))})
		}
	}
	groups, err := Plan(stores)
	if err != nil {
		t.Fatal(err)
	}
	s := measure(stores, groups)
	combinations := map[[3]vstack.StoreID]bool{}
	for pg, g := range groups {
		used := map[vstack.HostID]int{}
		for _, id := range g {
			used[s.host[id]]++
		}
		counts := slices.Sorted(maps.Values(used))
		if !slices.Equal(counts, []int{1, 2, 2}) {
			t.Errorf("group %d: fragments by host %v, want 2-2-1", pg, counts)
		}
		combinations[[3]vstack.StoreID(g[:3])] = true
	}
	if spreadOf(s.acceptors) != 0 || spreadOf(s.leads) > 1 {
		t.Errorf("acceptor roles %v, leads %v", s.acceptors, s.leads)
	}
	if len(combinations) < 16 {
		t.Errorf("only %d ordered combinations of acceptors over 128 groups", len(combinations))
	}
}

func TestPlanRefusesTooFewAndRepeatedStores(t *testing.T) {
	a, b := Store{ID: vstack.StoreID{1}, Host: "h1"}, Store{ID: vstack.StoreID{2}, Host: "h2"}
	if _, err := Plan([]Store{a, b}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("two stores: %v", err)
	}
	if _, err := Plan([]Store{a, b, a}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a store twice: %v", err)
	}
	if Ready([]Store{a, b}, 1) || Ready([]Store{a, b, {ID: vstack.StoreID{3}, Host: "h2"}}, 3) || !Ready([]Store{a, b, {ID: vstack.StoreID{3}, Host: "h2"}}, 2) {
		t.Error("Ready does not count stores and hosts")
	}
}
