package reconfigure

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/placement"
)

// Together is how many groups may lack something of what their targets should hold before
// the sharing out of roles waits: it goes as fast as stores copy.
const Together = 8

// Uneven is the part of its share by which a store must miss it for the sharing out to begin
// by itself. Capacities are weighed in steps of a quarter, so that one which drifts does not
// begin it again and again.
const Uneven = 0.3

// balance prepares groups whose stores have more than their share, once nothing else wants
// to move: a group at a time joins one store, and only where all its targets have everything.
func (p *Planner) balance(s State, v *view, under int, d *Decision) error {
	targets, err := placement.Balance(v.change)
	if err != nil {
		return err
	}
	settling := 0
	for pg, g := range s.Map.Groups {
		if targets[pg] != nil || g.Next != nil {
			d.Uneven++
		}
		if g.Next != nil || !v.keepers(s, vstack.PG(pg), g.Targets) {
			settling++
		}
	}
	for pg, to := range targets {
		group, g := vstack.PG(pg), s.Map.Groups[pg]
		if to == nil || g.Next != nil || under >= p.cfg.Window || taken(d.Changes, group) {
			continue
		}
		to = placement.Step(g.Targets, to, v.homes)
		joins := slices.ContainsFunc(to, func(id vstack.StoreID) bool { return g.Index(id) < 0 })
		if joins && settling >= Together || !v.keepers(s, group, g.Targets) ||
			!v.majority(group, g.Acceptors()) || !v.majority(group, to[:vstack.Acceptors]) {
			continue
		}
		driver, ok := v.driver(group, to, vstack.StoreID{})
		if !ok {
			continue
		}
		d.Changes = append(d.Changes, Change{group, g.Epoch, 0, to, driver, Skewed})
		under++
		if joins {
			settling++
		}
	}
	return nil
}

func taken(changes []Change, pg vstack.PG) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.PG == pg })
}

// weigh gives stores their shares: by capacity, in quarters of the median.
func weigh(stores []placement.Store, of []vstack.Store) {
	var all []int64
	for _, st := range of {
		all = append(all, st.Capacity)
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	median := max(all[len(all)/2], 1)
	for i := range stores {
		stores[i].Weight = min(max((of[i].Capacity*4+median/2)/median, 1), 64)
	}
}

// Plan is what sharing out the roles would do.
type Plan struct {
	Groups int // that would change
	Roles  int // that would go to another store
	Added  int // that are new: groups would have more targets than they have
	// Worst is the part of its share by which the worst store misses it.
	Worst float64
	Then  map[vstack.StoreID]int // roles of each store afterwards
}

// Shares plans the sharing out of roles, from where they are going now.
func Shares(s State) (Plan, error) {
	v := survey(s, nil)
	out := Plan{Then: map[vstack.StoreID]int{}}
	targets, err := placement.Balance(v.change)
	if err != nil {
		return out, err
	}
	for pg, to := range targets {
		if to == nil {
			to = v.change.Groups[pg]
		} else {
			out.Groups++
			wider := len(to) - len(v.change.Groups[pg])
			out.Added, out.Roles = out.Added+wider, out.Roles-wider
		}
		for _, id := range to {
			out.Then[id]++
			if !slices.Contains(v.change.Groups[pg], id) {
				out.Roles++
			}
		}
	}
	out.Worst, err = placement.Excess(v.change)
	return out, err
}
