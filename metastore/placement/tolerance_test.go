package placement

import (
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestToleranceIsThatOfTheWorstLoss(t *testing.T) {
	m := &vstack.PlacementMap{}
	hosts := []vstack.HostID{"a", "b", "c", "a", "b"}
	g := vstack.PGTargets{Epoch: 1}
	for i, h := range hosts {
		m.Stores = append(m.Stores, vstack.Store{ID: vstack.StoreID{1, byte(i)}, Host: h, State: vstack.StoreUp})
		g.Targets = append(g.Targets, vstack.StoreID{1, byte(i)})
	}
	check := func(name string, class vstack.StorageClass, wantHosts, wantStores int) {
		t.Helper()
		if h, s := Tolerance(g, class, m); h != wantHosts || s != wantStores {
			t.Errorf("%s, %s: %d hosts and %d stores, want %d and %d", name, class, h, s, wantHosts, wantStores)
		}
	}
	check("three hosts", vstack.ClassHot, 2, 2)
	check("three hosts", vstack.ClassCooling, 2, 2)
	check("2-2-1", vstack.ClassCold, 1, 2)
	check("2-2-1", vstack.ClassWarming, 1, 2)
	m.Stores[2].State = vstack.StoreDown
	check("one store down", vstack.ClassHot, 1, 1)
	check("one store down", vstack.ClassCold, 0, 1)
	m.Stores[3].State, m.Stores[4].State = vstack.StoreDown, vstack.StoreDown
	check("three stores down", vstack.ClassCold, -1, -1)
	for i := range m.Stores {
		m.Stores[i].Host, m.Stores[i].State = vstack.HostID(rune('a'+i)), vstack.StoreUp
	}
	check("five hosts", vstack.ClassCold, 2, 2)
	for i := range m.Stores {
		m.Stores[i].Host = "a"
	}
	check("one host", vstack.ClassHot, 0, 2)
}
