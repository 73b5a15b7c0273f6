package redundancy

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/placement"
)

// mapOf is a placed cluster of hosts with so many stores each.
func mapOf(t *testing.T, hosts, each int) *vstack.PlacementMap {
	t.Helper()
	m := &vstack.PlacementMap{}
	var stores []placement.Store
	for h := range hosts {
		for n := range each {
			id := vstack.StoreID{byte(h + 1), byte(n + 1)}
			host := vstack.HostID(fmt.Sprintf("h%d", h+1))
			stores = append(stores, placement.Store{ID: id, Host: host})
			m.Stores = append(m.Stores, vstack.Store{ID: id, Host: host, State: vstack.StoreUp})
		}
	}
	groups, err := placement.Plan(stores)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		m.Groups = append(m.Groups, vstack.PGTargets{Epoch: 1, Targets: g})
	}
	return m
}

func offerOf(m *vstack.PlacementMap, level vstack.Level, s vstack.Scheme) wire.SchemeOffer {
	offers := Compare(m, level, 1)
	return offers[slices.IndexFunc(offers, func(o wire.SchemeOffer) bool { return o.Scheme == s })]
}

func TestSchemesOnACluster(t *testing.T) {
	rs := func(k, m uint8) vstack.Scheme { return vstack.Scheme{K: k, M: m} }
	for _, c := range []struct {
		hosts, each int
		scheme      vstack.Scheme
		bears       wire.Bears
		placed      bool
		refused     string
	}{
		{3, 2, vstack.Scheme{}, wire.Bears{Hosts: 2, Stores: 2}, true, ""},
		{3, 2, rs(3, 2), wire.Bears{Hosts: 1, Stores: 2}, true, ""},
		// 2-2-2: the same tolerance at 1.5 times the bytes, and groups of six targets.
		{3, 2, rs(4, 2), wire.Bears{Hosts: 1, Stores: 2}, false, ""},
		{3, 2, rs(4, 1), wire.Bears{Hosts: 0, Stores: 1}, true, "bears the loss of 0 hosts (any 1 stores) on this cluster, and should bear that of 1"},
		{3, 1, rs(3, 2), lost, false, "5 pieces, and there are 3 stores"},
		{3, 1, rs(2, 1), wire.Bears{Hosts: 1, Stores: 1}, true, ""},
		{5, 1, rs(3, 2), wire.Bears{Hosts: 2, Stores: 2}, true, ""},
		{8, 1, rs(6, 2), wire.Bears{Hosts: 2, Stores: 2}, false, ""},
		{7, 1, rs(6, 2), lost, false, "8 pieces, and there are 7 stores"},
		{3, 3, rs(6, 3), wire.Bears{Hosts: 1, Stores: 3}, false, ""},
		{4, 2, rs(6, 2), wire.Bears{Hosts: 1, Stores: 2}, false, ""},
	} {
		got := offerOf(mapOf(t, c.hosts, c.each), vstack.NewestLevel, c.scheme)
		if got.Bears != c.bears || got.Placed != c.placed || got.Refused != c.refused {
			t.Errorf("%s on %d hosts of %d: %+v, want %+v, %v, %q", name(c.scheme), c.hosts, c.each, got, c.bears, c.placed, c.refused)
		}
	}
	if got := offerOf(mapOf(t, 3, 2), vstack.LevelManifests-1, rs(4, 2)); !strings.Contains(got.Refused, "6 pieces, and group 0 has 5 targets: they are widened from feature level 7 on") {
		t.Errorf("below the level: %+v", got)
	}
}

func TestAPolicyThatTheClusterCannotKeepIsRefused(t *testing.T) {
	m := mapOf(t, 3, 2)
	next := vstack.DefaultRedundancy
	next.HostsCanFail = 2
	err := CheckPolicy(m, vstack.NewestLevel, vstack.DefaultRedundancy, next)
	if !errors.Is(err, vstack.ErrTooFewTargets) || !strings.Contains(err.Error(), "rs(3,2): bears the loss of 1 hosts (any 2 stores) on this cluster, and should bear that of 2") {
		t.Errorf("two hosts of three: %v", err)
	}
	next = vstack.DefaultRedundancy
	next.Layout.Scheme = vstack.Scheme{K: 4, M: 2}
	if err := CheckPolicy(m, vstack.NewestLevel, vstack.DefaultRedundancy, next); err != nil {
		t.Errorf("six fragments in groups of five on six stores: %v", err)
	}
	m.Stores[5].Leaving = vstack.LeaveDead
	if err := CheckPolicy(m, vstack.NewestLevel, vstack.DefaultRedundancy, next); !errors.Is(err, vstack.ErrTooFewTargets) {
		t.Errorf("six fragments on five stores: %v", err)
	}
	next = vstack.DefaultRedundancy
	next.CoolBelow = 3 // on a cluster that has no place for the scheme in force
	if err := CheckPolicy(mapOf(t, 3, 1), vstack.NewestLevel, vstack.DefaultRedundancy, next); err != nil {
		t.Errorf("a threshold: %v", err)
	}
	next.HalfLife = 1
	if err := CheckPolicy(m, vstack.NewestLevel, vstack.DefaultRedundancy, next); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a half-life of a second: %v", err)
	}
}

func TestPiecesAreSpreadEvenly(t *testing.T) {
	for _, c := range []struct {
		stores []int
		pieces int
		want   []int
	}{
		{[]int{2, 2, 2}, 5, []int{2, 2, 1}}, {[]int{1, 1, 4}, 5, []int{1, 1, 3}}, {[]int{1, 1}, 5, []int{1, 1}}, {nil, 1, nil},
	} {
		if got := Spread(c.stores, c.pieces); !slices.Equal(got, c.want) {
			t.Errorf("%d pieces on %v: %v, want %v", c.pieces, c.stores, got, c.want)
		}
	}
}

// TestTheTableOfTheDocumentation works out what each scheme costs and bears on 3, 4, 5 and 8
// hosts, of two stores and of one, and wants docs/adaptive-redundancy.md to say it.
func TestTheTableOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/adaptive-redundancy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Schemes() {
		total, need := pieces(s)
		row := fmt.Sprintf("| %s | %.2f × ", name(s), Cost(s))
		for _, hosts := range []int{3, 4, 5, 8} {
			for _, each := range []int{1, 2} {
				of := BearsOf(Spread(slices.Repeat([]int{each}, hosts), total), need)
				if hosts*each < total {
					row += "| – "
				} else {
					row += fmt.Sprintf("| %d, %d ", of.Hosts, of.Stores)
				}
			}
		}
		if row += "|"; !strings.Contains(string(text), row+"\n") {
			t.Errorf("docs/adaptive-redundancy.md lacks the line\n%s", row)
		}
	}
}
