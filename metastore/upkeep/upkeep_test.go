package upkeep

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/placement"
	"github.com/vstack/vstack/metastore/reconfigure"
)

func id(host, n int) vstack.StoreID { return vstack.StoreID{byte(host), byte(n), 7} }

// cluster is a placed cluster all of whose groups hold a published chunk, with every store
// up and having everything.
func cluster(t *testing.T, hosts, each int) reconfigure.State {
	t.Helper()
	s := reconfigure.State{Map: &vstack.PlacementMap{Version: 5}, Claims: map[vstack.StoreID]reconfigure.Claims{},
		Published: &[vstack.PlacementGroups]bool{}, Fragmented: &[vstack.PlacementGroups]bool{}, Silent: map[vstack.StoreID]bool{}}
	var stores []placement.Store
	for h := 1; h <= hosts; h++ {
		for n := 1; n <= each; n++ {
			st := vstack.Store{ID: id(h, n), Host: vstack.HostID(fmt.Sprintf("h%d", h)), State: vstack.StoreUp, Capacity: 100}
			s.Map.Stores = append(s.Map.Stores, st)
			stores = append(stores, placement.Store{ID: st.ID, Host: st.Host})
			s.Claims[st.ID] = reconfigure.Claims{}
		}
	}
	plan, err := placement.Plan(stores)
	if err != nil {
		t.Fatal(err)
	}
	for pg, targets := range plan {
		s.Map.Groups = append(s.Map.Groups, vstack.PGTargets{Epoch: 1, Targets: targets})
		s.Published[pg] = true
		for _, id := range targets {
			s.Claims[id][vstack.PG(pg)] = reconfigure.Claim{Epoch: 1, Complete: 9, Surveyed: 9}
		}
	}
	return s
}

// lacks has a store lack something of every group.
func lacks(s reconfigure.State, id vstack.StoreID) {
	for pg, c := range s.Claims[id] {
		c.Complete = 3
		s.Claims[id][pg] = c
	}
}

func TestADrainThatCannotEndIsRefused(t *testing.T) {
	s := cluster(t, 3, 2)
	if roles, err := Drain(s, []vstack.StoreID{id(1, 1)}); err != nil || roles == 0 {
		t.Errorf("one of two stores of a host: %d roles, %v", roles, err)
	}
	_, err := Drain(s, []vstack.StoreID{id(1, 1), id(1, 2)})
	if !errors.Is(err, vstack.ErrNoTaker) || !strings.Contains(err.Error(), "4 stores on 2 hosts") {
		t.Errorf("a host of three: %v", err)
	}
	s = cluster(t, 4, 1)
	if roles, err := Drain(s, []vstack.StoreID{id(2, 1)}); err != nil || roles != vstack.PlacementGroups {
		t.Errorf("one host of four, whose groups do with three targets: %d roles, %v", roles, err)
	}
	s.Fragmented[3] = true
	if _, err := Drain(s, []vstack.StoreID{id(2, 1)}); !errors.Is(err, vstack.ErrNoTaker) || !strings.Contains(err.Error(), "1 of 128 roles") {
		t.Errorf("with a video in fragments in one group: %v", err)
	}
}

func TestWhatMayBeRemoved(t *testing.T) {
	s := cluster(t, 5, 2)
	gone := id(9, 1)
	s.Map.Stores = append(s.Map.Stores, vstack.Store{ID: gone, Host: "h9", State: vstack.StoreUp})
	of := []vstack.StoreID{gone}
	if err := Remove(s, of, true); !errors.Is(err, vstack.ErrStoreInUse) {
		t.Errorf("one that runs: %v", err)
	}
	s.Map.Stores[len(s.Map.Stores)-1].State = vstack.StoreDown
	if err := Remove(s, of, false); err != nil {
		t.Errorf("one that is down, with every group whole: %v", err)
	}
	lacks(s, id(1, 1))
	if err := Remove(s, of, false); !errors.Is(err, vstack.ErrStoreInUse) || !strings.Contains(err.Error(), "do not have everything") {
		t.Errorf("while another store lacks something: %v", err)
	}
	if err := Remove(s, of, true); err != nil {
		t.Errorf("the same, forced: %v", err)
	}
	if err := Remove(s, []vstack.StoreID{id(8, 8)}, true); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("one that there is not: %v", err)
	}
}

func TestOKToStop(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*reconfigure.State)
		left   wire.Redundancy
		want   string
	}{
		"all is well": {func(*reconfigure.State) {}, wire.Redundancy{Videos: 9}, ""},
		"another host is down": {func(s *reconfigure.State) {
			s.Map.Stores[2].State, s.Map.Stores[3].State = vstack.StoreDown, vstack.StoreDown
		}, wire.Redundancy{}, "128 of 128 groups would have no majority"},
		"another is silent":     {func(s *reconfigure.State) { s.Silent[id(2, 1)], s.Silent[id(2, 2)] = true, true }, wire.Redundancy{}, "no majority"},
		"films are only there":  {func(*reconfigure.State) {}, wire.Redundancy{Videos: 9, Unproven: 2}, "of 2 videos"},
		"a new leader is at it": {func(*reconfigure.State) {}, wire.Redundancy{Behind: true}, "ask again"},
	} {
		t.Run(name, func(t *testing.T) {
			s := cluster(t, 3, 2)
			tc.change(&s)
			got := strings.Join(OKToStop(s, "h1", tc.left), "; ")
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestOrdersSayWhatTheyWaitFor(t *testing.T) {
	s := cluster(t, 5, 2)
	s.Map.Stores[0].Leaving, s.Map.Stores[0].Cordoned = vstack.LeaveOrdered, true
	s.Map.Stores[4].Cordoned = true
	lacks(s, id(2, 1))
	orders, err := Orders(s)
	if err != nil || len(orders) != 2 {
		t.Fatalf("%+v, %v", orders, err)
	}
	if o := orders[0]; o.Store != id(1, 1) || o.Roles != 64 || o.Stay != 0 || len(o.Waits) != 1 || !strings.Contains(o.Waits[0], id(2, 1).String()+", which stays, is still copying") {
		t.Errorf("the drain: %+v", o)
	}
	if o := orders[1]; o.Store != id(3, 1) || !o.Cordoned || o.Leaving != "" || len(o.Waits) != 0 {
		t.Errorf("the cordon: %+v", o)
	}
}

func TestBalanceShowsWhatItWouldDo(t *testing.T) {
	s := cluster(t, 5, 2)
	fresh := id(6, 1)
	s.Map.Stores = append(s.Map.Stores, vstack.Store{ID: fresh, Host: "h6", State: vstack.StoreUp, Capacity: 100})
	used := map[vstack.StoreID]int64{}
	for _, st := range s.Map.Stores[:10] {
		used[st.ID] = 64 << 20
	}
	r, err := Balance(s, vstack.BalanceIdle, used)
	if err != nil {
		t.Fatal(err)
	}
	last := r.Stores[len(r.Stores)-1]
	if last.Store != fresh || last.Now != 0 || last.Then != 58 || r.Roles != 58 || r.Worst != 1 || r.Bytes != 58<<20 {
		t.Errorf("%+v of %+v", last, r)
	}
}
