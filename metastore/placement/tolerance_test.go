package placement

import (
	"errors"
	"strings"
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
		scheme := vstack.Scheme{}
		if class.Fragments() {
			scheme = vstack.DefaultScheme
		}
		holders, need := Holders(g, scheme)
		if h, s := Tolerance(holders, need, m); h != wantHosts || s != wantStores {
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

func TestAGroupThatCannotBearASchemeIsRefusedWithTheFigures(t *testing.T) {
	m := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, 2)}
	for i := range 6 {
		m.Stores = append(m.Stores, vstack.Store{ID: vstack.StoreID{1, byte(i)}, Host: vstack.HostID(rune('a' + i%3)), State: vstack.StoreDown})
		if i < 5 {
			m.Groups[1].Targets = append(m.Groups[1].Targets, vstack.StoreID{1, byte(i)})
		}
	}
	groups := [vstack.PlacementGroups]bool{1: true}
	refused := func(want string) {
		t.Helper()
		if err := Bears(m, groups, vstack.DefaultScheme, 1); !errors.Is(err, vstack.ErrTooFewTargets) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one with %q", err, want)
		}
	}
	if err := Bears(m, groups, vstack.DefaultScheme, 1); err != nil {
		t.Errorf("2-2-1 does not bear a host: %v", err)
	}
	if err := Bears(m, groups, vstack.Scheme{K: 4, M: 2}, 1); !errors.Is(err, vstack.ErrTooFewTargets) {
		t.Errorf("six fragments on five targets: %v", err)
	}
	m.Groups[1].Fragments = []vstack.FragmentNumber{0, 1, 7, 3, 4}
	refused("4 of its 5 targets hold one")
	m.Groups[1].Fragments = nil
	m.Stores[2].Host = "a"
	refused("it bears the loss of 0 hosts (any 2 stores), and should bear that of 1")
	m.Groups[1].Targets = m.Groups[1].Targets[:3]
	refused("3+2 has 5 fragments, 3 of its 3 targets hold one")
	if err := Bears(m, [vstack.PlacementGroups]bool{0: false}, vstack.DefaultScheme, 1); err != nil {
		t.Errorf("groups that a video is not in: %v", err)
	}
}
