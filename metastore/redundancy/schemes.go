package redundancy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/placement"
)

// Schemes are those that a plan sets beside each other; the zero one is three copies.
func Schemes() []vstack.Scheme {
	return []vstack.Scheme{{}, {K: 2, M: 1}, {K: 2, M: 2}, {K: 3, M: 1}, {K: 3, M: 2}, {K: 4, M: 1}, {K: 4, M: 2}, {K: 6, M: 2}, {K: 6, M: 3}}
}

// Spread deals pieces out to hosts with so many stores each, one to a store and as evenly as
// it goes. It answers how many each host has; together fewer than asked where stores are too
// few.
func Spread(stores []int, pieces int) []int {
	out := make([]int, len(stores))
	for ; pieces > 0; pieces-- {
		best := -1
		for h, n := range stores {
			if out[h] < n && (best < 0 || out[h] < out[best]) {
				best = h
			}
		}
		if best < 0 {
			break
		}
		out[best]++
	}
	return out
}

// BearsOf is what a chunk bears of which hosts have so many pieces each, any need of which
// make it.
func BearsOf(perHost []int, need int) wire.Bears {
	left := 0
	for _, n := range perHost {
		left += n
	}
	if left < need {
		return lost
	}
	out := wire.Bears{Stores: left - need}
	for _, n := range slices.Backward(slices.Sorted(slices.Values(perHost))) { // the worst host first
		if left -= n; left < need || n == 0 {
			break
		}
		out.Hosts++
	}
	return out
}

// pieces are how many of a scheme there are, and how many make a chunk.
func pieces(s vstack.Scheme) (total, need int) {
	if s.IsZero() {
		return vstack.Acceptors, 1
	}
	return s.Total(), int(s.K)
}

// Cost is what a scheme takes for each byte.
func Cost(s vstack.Scheme) float64 {
	total, need := pieces(s)
	return float64(total) / float64(need)
}

// Compare sets schemes beside each other on a cluster as it is placed, and says why one cannot
// be chosen there under a policy.
func Compare(m *vstack.PlacementMap, level vstack.Level, wantHosts int) []wire.SchemeOffer {
	var out []wire.SchemeOffer
	for _, s := range Schemes() {
		out = append(out, offer(m, level, s, wantHosts))
	}
	return out
}

// offer says what a scheme bears in the groups as they are, or, where these have too few targets
// for it, once they are wider.
func offer(m *vstack.PlacementMap, level vstack.Level, s vstack.Scheme, wantHosts int) wire.SchemeOffer {
	o := wire.SchemeOffer{Scheme: s, Cost: Cost(s)}
	of, short := onGroups(m, s)
	if o.Bears, o.Placed = of, short == ""; !o.Placed {
		total, need := pieces(s)
		stores := storesOf(m)
		if have := sum(stores); have < total {
			o.Bears, o.Refused = lost, fmt.Sprintf("%d pieces, and there are %d stores", total, have)
			return o
		}
		if o.Bears = BearsOf(Spread(stores, total), need); level < vstack.LevelManifests && total > vstack.Targets {
			o.Refused = fmt.Sprintf("%s: they are widened from feature level %d on", short, vstack.LevelManifests)
			return o
		}
	}
	if o.Hosts < wantHosts {
		o.Refused = fmt.Sprintf("bears the loss of %d hosts (any %d stores) on this cluster, and should bear that of %d", max(o.Hosts, 0), max(o.Stores, 0), wantHosts)
	}
	return o
}

// storesOf is how many stores each host has that stay.
func storesOf(m *vstack.PlacementMap) []int {
	perHost := map[vstack.HostID]int{}
	for _, st := range m.Stores {
		if st.Leaving == "" {
			perHost[st.Host]++
		}
	}
	return slices.Sorted(maps.Values(perHost))
}

// onGroups is the worst that a scheme bears in the groups as they are placed, every store in
// its place; or why it has no place in them.
func onGroups(m *vstack.PlacementMap, s vstack.Scheme) (of wire.Bears, short string) {
	of = most
	total, _ := pieces(s)
	for pg, g := range m.Groups {
		holders, need := placement.Holders(g, s)
		if len(holders) < total {
			return lost, fmt.Sprintf("%d pieces, and group %d has %d targets", total, pg, len(g.Targets))
		}
		hosts, stores := placement.Bear(holders, need, m)
		of = Worse(of, wire.Bears{Hosts: hosts, Stores: stores})
	}
	return of, ""
}

func sum(of []int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}
