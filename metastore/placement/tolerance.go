package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Holders are the stores that keep a chunk readable which lies as fragments of a scheme, and
// how many of them it takes; of the zero scheme, which is copies, any one of the acceptors.
func Holders(g vstack.PGTargets, scheme vstack.Scheme) (stores []vstack.StoreID, need int) {
	if scheme.IsZero() {
		return g.Acceptors(), 1
	}
	for i, id := range g.Targets {
		if int(g.Fragment(i)) < scheme.Total() {
			stores = append(stores, id)
		}
	}
	return stores, int(scheme.K)
}

// Tolerance says how many more hosts and how many more stores, chosen worst, may be lost
// with chunks readable of which need stores of the holders make one; -1 when they are not
// now. Stores that are down count as lost already.
func Tolerance(holders []vstack.StoreID, need int, m *vstack.PlacementMap) (hosts, stores int) {
	return bears(holders, need, m, func(s vstack.Store) bool { return s.State != vstack.StoreDown })
}

// Bear is Tolerance with every store in its place: stores that are down count, too.
func Bear(holders []vstack.StoreID, need int, m *vstack.PlacementMap) (hosts, stores int) {
	return bears(holders, need, m, func(vstack.Store) bool { return true })
}

func bears(holders []vstack.StoreID, need int, m *vstack.PlacementMap, counts func(vstack.Store) bool) (hosts, stores int) {
	perHost := map[vstack.HostID]int{}
	alive := 0
	for _, id := range holders {
		if s, ok := m.Store(id); ok && counts(s) {
			perHost[s.Host]++
			alive++
		}
	}
	if alive < need {
		return -1, -1
	}
	most := make([]int, 0, len(perHost))
	for _, n := range perHost {
		most = append(most, n)
	}
	slices.SortFunc(most, func(a, b int) int { return cmp.Compare(b, a) }) // the worst host first
	left := alive
	for _, n := range most {
		if left -= n; left < need {
			break
		}
		hosts++
	}
	return hosts, alive - need
}

// Bears reports as ErrTooFewTargets the first of some groups that could not hold all
// fragments of a scheme, or would not bear the loss of so many hosts with them. Stores that
// are down count: they are the group's, and hold their fragments once they are back.
func Bears(m *vstack.PlacementMap, groups [vstack.PlacementGroups]bool, scheme vstack.Scheme, hostsCanFail int) error {
	for pg, yes := range groups {
		if !yes {
			continue
		}
		if pg >= len(m.Groups) {
			return fmt.Errorf("group %d: %w", pg, vstack.ErrNotReady)
		}
		g := m.Groups[pg]
		holders, need := Holders(g, scheme)
		if len(holders) < scheme.Total() {
			return fmt.Errorf("group %d: %w: %s has %d fragments, %d of its %d targets hold one", pg, vstack.ErrTooFewTargets, scheme, scheme.Total(), len(holders), len(g.Targets))
		}
		hosts, stores := bears(holders, need, m, func(vstack.Store) bool { return true })
		if hosts < hostsCanFail {
			return fmt.Errorf("group %d: %w: in %s it bears the loss of %d hosts (any %d stores), and should bear that of %d", pg, vstack.ErrTooFewTargets, scheme, max(hosts, 0), max(stores, 0), hostsCanFail)
		}
	}
	return nil
}
