package reconfigure

import (
	"cmp"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/placement"
)

// view is a state, indexed for one decision.
type view struct {
	stores  map[vstack.StoreID]vstack.Store
	amnesic map[vstack.PG][]vstack.StoreID
	leaving bool // somebody is
	change  placement.Change
	drives  map[vstack.StoreID]int // attempts that each store drives
	hosts   map[vstack.HostID]int  // and each host
}

func survey(s State, amnesic map[vstack.PG][]vstack.StoreID) *view {
	v := &view{stores: make(map[vstack.StoreID]vstack.Store, len(s.Map.Stores)), amnesic: amnesic,
		drives: map[vstack.StoreID]int{}, hosts: map[vstack.HostID]int{}}
	v.change.Leaving = map[vstack.StoreID]vstack.StoreID{}
	v.change.Open = map[vstack.StoreID]bool{}
	for _, st := range s.Map.Stores {
		v.stores[st.ID] = st
		v.change.Stores = append(v.change.Stores, placement.Store{ID: st.ID, Host: st.Host})
		if st.Leaving != "" {
			v.leaving = true
			v.change.Leaving[st.ID] = s.Wanted[st.ID]
		} else if st.State == vstack.StoreUp {
			v.change.Open[st.ID] = true
		}
	}
	for _, g := range s.Map.Groups {
		targets := g.Targets
		if g.Next != nil {
			v.assign(g.Next.Driver)
			if !v.changed(g) {
				targets = g.Next.Targets
			}
		}
		v.change.Groups = append(v.change.Groups, targets)
	}
	return v
}

// replacements are the targets of groups that a leaving store is in. A group that is
// preparing moves on from there, not from where it was, unless its newcomers died.
func (v *view) replacements(s State) ([][]vstack.StoreID, error) {
	if !v.leaving {
		return make([][]vstack.StoreID, len(s.Map.Groups)), nil
	}
	return placement.Replace(v.change)
}

func (v *view) up(id vstack.StoreID) bool   { return v.stores[id].State == vstack.StoreUp }
func (v *view) down(id vstack.StoreID) bool { return v.stores[id].State == vstack.StoreDown }

// changed reports whether a newcomer of a group's next epoch has been lost since.
func (v *view) changed(g vstack.PGTargets) bool {
	return slices.ContainsFunc(g.Next.Targets, func(id vstack.StoreID) bool {
		return g.Index(id) < 0 && (v.down(id) || v.stores[id].Leaving != "")
	})
}

// majority reports whether most of a group's acceptors can take part in a change.
func (v *view) majority(pg vstack.PG, acceptors []vstack.StoreID) bool {
	n := 0
	for _, id := range acceptors {
		if !v.down(id) && !slices.Contains(v.amnesic[pg], id) {
			n++
		}
	}
	return n > vstack.Acceptors/2
}

// driver picks who drives a group to its targets: a voter of the next epoch that is up
// and forgot nothing, another than the last one if there is one, on the host that drives
// least.
func (v *view) driver(pg vstack.PG, targets []vstack.StoreID, last vstack.StoreID) (vstack.StoreID, bool) {
	var able []vstack.StoreID
	for _, id := range targets[:vstack.Acceptors] {
		if v.up(id) && !slices.Contains(v.amnesic[pg], id) {
			able = append(able, id)
		}
	}
	if len(able) == 0 {
		return vstack.StoreID{}, false
	}
	if len(able) > 1 {
		able = slices.DeleteFunc(able, func(id vstack.StoreID) bool { return id == last })
	}
	id := slices.MinFunc(able, func(a, b vstack.StoreID) int {
		return cmp.Or(cmp.Compare(v.hosts[v.stores[a].Host], v.hosts[v.stores[b].Host]), cmp.Compare(v.drives[a], v.drives[b]))
	})
	v.assign(id)
	return id, true
}

func (v *view) assign(driver vstack.StoreID) {
	v.drives[driver]++
	v.hosts[v.stores[driver].Host]++
}

// reason says why targets change: a dead store among those that go outranks an order.
func (v *view) reason(from, to []vstack.StoreID) Reason {
	for i, id := range from {
		if to[i] != id && v.stores[id].Leaving == vstack.LeaveDead {
			return Dead
		}
	}
	return Ordered
}

// held counts the roles of leaving stores that no other can take.
func (v *view) held(m *vstack.PlacementMap, targets [][]vstack.StoreID) (h Held) {
	for pg, g := range m.Groups {
		to := targets[pg]
		if to == nil {
			to = g.Targets
			if g.Next != nil {
				to = g.Next.Targets
			}
		}
		for _, id := range to {
			if v.stores[id].Leaving != "" {
				if h.Roles == nil {
					h.Roles = map[vstack.StoreID]int{}
				}
				h.Roles[id]++
			}
		}
	}
	return h
}
