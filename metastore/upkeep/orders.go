package upkeep

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// Drain counts the roles that some stores would give up, and refuses with the figures when
// not all of them could: such a drain would never end.
func Drain(s reconfigure.State, ids []vstack.StoreID) (roles int, err error) {
	if !s.Map.Ready() {
		return 0, nil
	}
	roles, movable, err := reconfigure.Movable(s, vstack.StoreID{}, ids...)
	if err != nil {
		return 0, err
	}
	if movable == roles {
		return roles, nil
	}
	open, hosts := 0, map[vstack.HostID]bool{}
	for _, st := range s.Map.Stores {
		if st.State == vstack.StoreUp && st.Leaving == "" && !st.Cordoned && !slices.Contains(ids, st.ID) {
			open++
			hosts[st.Host] = true
		}
	}
	return roles, fmt.Errorf("drain: %w: %d of %d roles can go nowhere: %d stores on %d hosts would be left to take them, and votes of a group stay on as many hosts as they are",
		vstack.ErrNoTaker, roles-movable, roles, open, len(hosts))
}

// Remove refuses stores that run, or that may hold what others lack: unless forced, every
// group that holds anything must be whole.
func Remove(s reconfigure.State, ids []vstack.StoreID, force bool) error {
	for _, id := range ids {
		st, ok := s.Map.Store(id)
		if !ok {
			return fmt.Errorf("remove store %s: %w", id, vstack.ErrNotFound)
		}
		if st.State == vstack.StoreUp && !s.Silent[id] {
			return fmt.Errorf("remove store %s: %w: it is up and would register again: stop host %s, or take the store out of its configuration", id, vstack.ErrStoreInUse, st.Host)
		}
	}
	if force || !s.Map.Ready() {
		return nil
	}
	whole := reconfigure.NewWholes(s)
	lacking := 0
	example := ""
	for pg := range s.Map.Groups {
		if s.Published != nil && !s.Published[pg] {
			continue
		}
		if w := whole.Of(vstack.PG(pg)); len(w.Missing) > 0 || w.Index < w.Surveyed {
			lacking++
			example = cmp.Or(example, fmt.Sprintf("group %d", pg))
		}
	}
	if lacking > 0 {
		return fmt.Errorf("remove stores: %w: in %d groups, %s one of them, other stores do not have everything yet", vstack.ErrStoreInUse, lacking, example)
	}
	return nil
}

// Orders lists stores that are cordoned or leave, and what that waits for.
func Orders(s reconfigure.State) ([]wire.StandingOrder, error) {
	out := []wire.StandingOrder{}
	stay, err := reconfigure.Stay(s)
	if err != nil {
		return nil, err
	}
	for _, st := range s.Map.Stores {
		if st.Leaving == "" && !st.Cordoned {
			continue
		}
		o := wire.StandingOrder{Store: st.ID, Host: st.Host, State: st.State, Cordoned: st.Cordoned, Leaving: st.Leaving, Stay: stay[st.ID]}
		waits := map[string]int{}
		for pg, g := range s.Map.Groups {
			if g.Index(st.ID) < 0 {
				continue
			}
			o.Roles++
			switch {
			case st.Leaving == "":
			case g.Next != nil && !slices.Contains(g.Next.Targets, st.ID):
				o.Moving++
			default:
				for _, why := range waitsFor(s, vstack.PG(pg), st.ID) {
					waits[why]++
				}
			}
		}
		for _, why := range slices.SortedFunc(maps.Keys(waits), func(a, b string) int { return cmp.Or(cmp.Compare(waits[b], waits[a]), cmp.Compare(a, b)) }) {
			o.Waits = append(o.Waits, fmt.Sprintf("%d groups: %s", waits[why], why))
		}
		out = append(out, o)
	}
	return out, nil
}

// waitsFor says why a group does not move away from a store yet; nothing when it is its turn.
func waitsFor(s reconfigure.State, pg vstack.PG, leaves vstack.StoreID) (why []string) {
	g := s.Map.Groups[pg]
	able := 0
	for _, id := range g.Acceptors() {
		if st, _ := s.Map.Store(id); st.State != vstack.StoreDown {
			able++
		}
	}
	if able < vstack.Majority {
		return []string{"no majority of their voters is up"}
	}
	for _, id := range g.Targets {
		if id == leaves || s.Published != nil && !s.Published[pg] {
			continue
		}
		c, said := s.Claims[id][pg]
		switch st, _ := s.Map.Store(id); {
		case st.State != vstack.StoreUp || s.Silent[id]:
			why = append(why, fmt.Sprintf("store %s, which stays, is %s", id, st.State))
		case !said || c.Epoch != g.Epoch || c.Surveyed == 0:
			why = append(why, fmt.Sprintf("store %s, which stays, has not said yet what it has", id))
		case c.Complete < c.Surveyed:
			why = append(why, fmt.Sprintf("store %s, which stays, is still copying", id))
		}
	}
	return why
}
