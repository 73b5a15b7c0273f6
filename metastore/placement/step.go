package placement

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Step is one change of a group on its way from its targets to others: at most one store
// joins, so that all others have what it is to copy. Of the ways to go it takes one on which
// the acceptors stay on as many hosts.
func Step(from, to []vstack.StoreID, hosts map[vstack.StoreID]vstack.HostID) []vstack.StoreID {
	join := without(to, from)
	leave := without(from, to)
	switch {
	case len(join) <= 1:
		return to
	case len(from) < len(to):
		return append(slices.Clone(from), join[0])
	}
	want := min(acceptorHosts(from, hosts), acceptorHosts(to, hosts))
	var first []vstack.StoreID
	for i := len(from) - 1; i >= 0; i-- { // tails first
		if !slices.Contains(leave, from[i]) {
			continue
		}
		for _, id := range join {
			next := slices.Clone(from)
			next[i] = id
			if acceptorHosts(next, hosts) >= want {
				return next
			}
			if first == nil {
				first = next
			}
		}
	}
	return first
}

// without are the stores of a that b lacks.
func without(a, b []vstack.StoreID) []vstack.StoreID {
	return slices.DeleteFunc(slices.Clone(a), func(id vstack.StoreID) bool { return slices.Contains(b, id) })
}

// acceptorHosts counts the hosts of a group's acceptors.
func acceptorHosts(targets []vstack.StoreID, hosts map[vstack.StoreID]vstack.HostID) int {
	seen := map[vstack.HostID]bool{}
	for _, id := range targets[:min(vstack.Acceptors, len(targets))] {
		seen[hosts[id]] = true
	}
	return len(seen)
}
