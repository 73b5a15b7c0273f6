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
	change  placement.Change
	dead    []vstack.StoreID // leaving stores, in the map's order; those that are down
	ordered []vstack.StoreID
	silent  map[vstack.StoreID]bool
	load    map[vstack.StoreID]int // attempts that each store drives
	hosts   map[vstack.HostID]int  // and each host
	homes   map[vstack.StoreID]vstack.HostID
}

func survey(s State, amnesic map[vstack.PG][]vstack.StoreID) *view {
	v := &view{stores: make(map[vstack.StoreID]vstack.Store, len(s.Map.Stores)), amnesic: amnesic,
		silent: s.Silent, load: map[vstack.StoreID]int{}, hosts: map[vstack.HostID]int{}, homes: map[vstack.StoreID]vstack.HostID{}}
	v.change.Open = map[vstack.StoreID]bool{}
	for _, st := range s.Map.Stores {
		v.stores[st.ID] = st
		v.change.Stores = append(v.change.Stores, placement.Store{ID: st.ID, Host: st.Host})
		v.homes[st.ID] = st.Host
		switch {
		case st.Leaving == vstack.LeaveDead || st.Leaving != "" && st.State == vstack.StoreDown:
			// One that was to leave and is down has no copy to wait for.
			v.dead = append(v.dead, st.ID)
		case st.Leaving != "":
			v.ordered = append(v.ordered, st.ID)
		case st.State == vstack.StoreUp && !st.Cordoned:
			v.change.Open[st.ID] = true
		}
	}
	v.change.Targets = s.Map.TargetCount()
	weigh(v.change.Stores, s.Map.Stores)
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

// replacements are the targets of groups in which something can move. Dead stores go
// first, all together; stores that leave by order hold bytes that others may need, so
// they go one after the other, or a group could lose two good copies at once. If nothing
// can move, they are those of the dead. A group
// that is preparing moves on from there, not from where it was, unless a newcomer died.
func (v *view) replacements(s State) ([][]vstack.StoreID, error) {
	sets := [][]vstack.StoreID{v.dead}
	for _, id := range v.ordered {
		sets = append(sets, []vstack.StoreID{id})
	}
	held := make([][]vstack.StoreID, len(s.Map.Groups))
	for i, set := range sets {
		targets, err := v.without(s, set...)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			held = targets
		}
		for pg, to := range targets {
			if to != nil && v.majority(vstack.PG(pg), s.Map.Groups[pg].Acceptors()) && v.majority(vstack.PG(pg), to[:vstack.Acceptors]) {
				return targets, nil
			}
		}
	}
	return held, nil
}

// without are the targets of groups once the given stores have left.
func (v *view) without(s State, leaving ...vstack.StoreID) ([][]vstack.StoreID, error) {
	if len(leaving) == 0 {
		return make([][]vstack.StoreID, len(s.Map.Groups)), nil
	}
	c := v.change
	c.Leaving = make(map[vstack.StoreID]vstack.StoreID, len(leaving))
	for _, id := range leaving {
		c.Leaving[id] = s.Wanted[id]
	}
	if s.Fragmented != nil && !slices.ContainsFunc(leaving, func(id vstack.StoreID) bool { return v.stores[id].Leaving == vstack.LeaveDead }) {
		c.Narrow = make([]bool, len(c.Groups))
		for pg := range c.Narrow {
			c.Narrow[pg] = !s.Fragmented[pg]
		}
	}
	return placement.Replace(c)
}

// keepers reports whether the stores that a group keeps have all of it, as they said in the
// epoch in force: a view that is being read says nothing.
func (v *view) keepers(s State, pg vstack.PG, to []vstack.StoreID) bool {
	if s.Published == nil || !s.Published[pg] {
		return true
	}
	g := s.Map.Groups[pg]
	for _, id := range g.Targets {
		if !slices.Contains(to, id) {
			continue
		}
		c, ok := s.Claims[id][pg]
		if !ok || !v.up(id) || v.silent[id] || c.Epoch != g.Epoch || c.Surveyed == 0 || c.Complete < c.Surveyed {
			return false
		}
	}
	return true
}

func (v *view) up(id vstack.StoreID) bool   { return v.stores[id].State == vstack.StoreUp }
func (v *view) down(id vstack.StoreID) bool { return v.stores[id].State == vstack.StoreDown }

// drives reports whether a store can be expected to work: not if it is suspect or down, or
// silent and nobody has committed that yet.
func (v *view) drives(id vstack.StoreID) bool { return v.up(id) && !v.silent[id] }

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

// driver picks who drives a group to its targets: a voter of the next epoch that is there
// and forgot nothing, another than the last one if there is one, on the host that drives
// least.
func (v *view) driver(pg vstack.PG, targets []vstack.StoreID, last vstack.StoreID) (vstack.StoreID, bool) {
	var able []vstack.StoreID
	for _, id := range targets[:vstack.Acceptors] {
		if v.drives(id) && !slices.Contains(v.amnesic[pg], id) {
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
		return cmp.Or(cmp.Compare(v.hosts[v.stores[a].Host], v.hosts[v.stores[b].Host]), cmp.Compare(v.load[a], v.load[b]))
	})
	v.assign(id)
	return id, true
}

func (v *view) assign(driver vstack.StoreID) {
	v.load[driver]++
	v.hosts[v.stores[driver].Host]++
}

// reason says why targets change: a dead store among those that go outranks an order.
func (v *view) reason(from, to []vstack.StoreID) Reason {
	for _, id := range from {
		if !slices.Contains(to, id) && slices.Contains(v.dead, id) {
			return Dead
		}
	}
	return Ordered
}

// stay counts the roles of leaving stores that no other can take.
func (v *view) stay(s State) (map[vstack.StoreID]int, error) {
	targets, err := v.without(s, slices.Concat(v.dead, v.ordered)...)
	if err != nil {
		return nil, err
	}
	roles := map[vstack.StoreID]int{}
	for pg, to := range targets {
		if to == nil {
			to = v.change.Groups[pg]
		}
		for _, id := range to {
			if v.stores[id].Leaving != "" {
				roles[id]++
			}
		}
	}
	return roles, nil
}
