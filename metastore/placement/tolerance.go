package placement

import (
	"cmp"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// dataFragments is how many of the vstack.Targets fragments of a cold chunk decode it.
const dataFragments = 3

// Holders are the stores that keep a chunk readable in a class, and how many of them
// it takes. During a transition that is what the class before it held.
func Holders(g vstack.PGTargets, class vstack.StorageClass) (stores []vstack.StoreID, need int) {
	switch class {
	case vstack.ClassCold, vstack.ClassWarming:
		return g.Targets, dataFragments
	}
	return g.Acceptors(), 1
}

// Tolerance says how many more hosts and how many more stores, chosen worst, may be
// lost with a group's chunks of the class still readable; -1 when they are not now.
// Stores that are down count as lost already.
func Tolerance(g vstack.PGTargets, class vstack.StorageClass, m *vstack.PlacementMap) (hosts, stores int) {
	holders, need := Holders(g, class)
	perHost := map[vstack.HostID]int{}
	alive := 0
	for _, id := range holders {
		if s, ok := m.Store(id); ok && s.State != vstack.StoreDown {
			perHost[s.Host]++
			alive++
		}
	}
	if alive < need {
		return -1, -1
	}
	counts := make([]int, 0, len(perHost))
	for _, n := range perHost {
		counts = append(counts, n)
	}
	slices.SortFunc(counts, func(a, b int) int { return cmp.Compare(b, a) }) // the worst host first
	left := alive
	for _, n := range counts {
		if left -= n; left < need {
			break
		}
		hosts++
	}
	return hosts, alive - need
}
