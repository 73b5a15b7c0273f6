package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Change asks for new targets in the place of stores that leave.
type Change struct {
	// Groups are the targets of each placement group, or those that it is moving to.
	Groups [][]vstack.StoreID
	// Stores are all that Groups name and all that may take their place.
	Stores []Store
	// Leaving maps the stores that give up their roles to the one that is wanted in
	// their place, zero for whichever spreads best.
	Leaving map[vstack.StoreID]vstack.StoreID
	// Open are the stores that may take a role; none of Leaving.
	Open map[vstack.StoreID]bool
	// Targets is the number that a group is to have, as far as there are stores; 0 for
	// vstack.Targets.
	Targets int
	// Narrow are the groups that may do with fewer targets, down to the acceptors, where
	// nobody can take the place of a tail that leaves; nil for none.
	Narrow []bool
}

// Replace returns new targets of the groups that change, nil for the others. A store
// that takes a role takes the leaving one's index and all others keep theirs, with one
// exception: where only a tail of the group is on a host that no acceptor uses, it
// becomes the acceptor, and the leaving one's tail role is filled instead.
//
// A role whose loss nothing can make good stays with the store that leaves: no acceptor
// moves onto another's host if the leaving one's was a host of its own.
func Replace(c Change) ([][]vstack.StoreID, error) {
	if len(c.Groups) > vstack.PlacementGroups {
		return nil, fmt.Errorf("replace stores in %d groups: %w: at most %d", len(c.Groups), vstack.ErrInvalid, vstack.PlacementGroups)
	}
	r, err := newReplacer(c)
	if err != nil {
		return nil, err
	}
	out := make([][]vstack.StoreID, len(c.Groups))
	for pg := range c.Groups {
		before := slices.Clone(r.groups[pg])
		hosts := r.hosts(before[:min(vstack.Acceptors, len(before))])
		for i, s := range before {
			// What was promoted leaves its own place to the one that leaves.
			if s = r.groups[pg][i]; !r.leaving[s] {
				continue
			}
			if i < vstack.Acceptors {
				r.replaceAcceptor(pg, i, hosts)
			} else {
				r.replaceTail(pg, i)
			}
		}
		if c.Narrow != nil && c.Narrow[pg] {
			r.narrow(pg)
		}
		if slices.Equal(before, r.groups[pg]) {
			continue
		}
		for _, s := range r.groups[pg] {
			out[pg] = append(out[pg], r.stores[s].ID)
		}
	}
	return out, nil
}

// replacer is a planner that starts from what is.
type replacer struct {
	*planner
	leaving, open []bool
	wanted        []int // of each leaving store; -1 for whichever
	lead          []int // leads of each store
}

func newReplacer(c Change) (*replacer, error) {
	p := newPlanner(c.Stores)
	n := len(p.stores)
	r := &replacer{planner: p, leaving: make([]bool, n), open: make([]bool, n), wanted: make([]int, n), lead: make([]int, n)}
	at := make(map[vstack.StoreID]int, n)
	for i, s := range p.stores {
		at[s.ID] = i
	}
	if len(at) != n {
		return nil, fmt.Errorf("replace stores: %w: a store is listed twice", vstack.ErrInvalid)
	}
	for i, s := range p.stores {
		with, leaves := c.Leaving[s.ID]
		r.leaving[i], r.open[i], r.wanted[i] = leaves, c.Open[s.ID] && !leaves, -1
		if w, ok := at[with]; ok && leaves {
			r.wanted[i] = w
		}
	}
	for pg, targets := range c.Groups {
		for i, id := range targets {
			s, ok := at[id]
			if !ok {
				return nil, fmt.Errorf("replace stores: group %d: %w: store %s is unknown", pg, vstack.ErrInvalid, id)
			}
			r.groups[pg] = append(r.groups[pg], s)
			if !r.leaving[s] {
				r.count(s, i)
			}
		}
	}
	return r, nil
}

// count adds a role at an index to a store's load.
func (r *replacer) count(s, i int) {
	r.total[s]++
	if i < vstack.Acceptors {
		r.acceptor[s]++
	}
	if i == 0 {
		r.lead[s]++
	}
}

// replaceAcceptor fills the place of a leaving acceptor, if the acceptors are then on as
// many hosts as they had before any of them left.
func (r *replacer) replaceAcceptor(pg, i, had int) {
	g := r.groups[pg]
	gone := g[i]
	with := func(s int) int { // distinct hosts of the acceptors with s among them
		g[i] = s
		defer func() { g[i] = gone }()
		return r.hosts(g[:vstack.Acceptors])
	}
	spare := r.best(r.spares(pg), func(a, b int) int {
		return cmp.Or(cmp.Compare(with(b), with(a)), r.compare(pg, i, a, b))
	})
	tail := r.best(r.tails(pg), func(a, b int) int {
		return cmp.Or(cmp.Compare(with(b), with(a)), r.compareLoad(pg, i, a, b))
	})
	switch {
	case spare >= 0 && with(spare) >= had && (tail < 0 || with(tail) <= with(spare)):
		g[i] = spare
		r.count(spare, i)
	case tail >= 0 && with(tail) >= had:
		g[slices.Index(g, tail)], g[i] = gone, tail
		r.total[tail]-- // it had a role already
		r.count(tail, i)
	}
}

// replaceTail fills the place of a leaving tail.
func (r *replacer) replaceTail(pg, i int) {
	if s := r.best(r.spares(pg), func(a, b int) int { return r.compare(pg, i, a, b) }); s >= 0 {
		r.groups[pg][i] = s
		r.count(s, i)
	}
}

// narrow takes the tails out of a group that leave and have no successor.
func (r *replacer) narrow(pg int) {
	g := r.groups[pg]
	n := min(vstack.Acceptors, len(g))
	r.groups[pg] = append(g[:n:n], slices.DeleteFunc(slices.Clone(g[n:]), func(s int) bool { return r.leaving[s] })...)
}

// spares are the stores that may join a group, tails those of its own that may vote.
func (r *replacer) spares(pg int) (out []int) {
	for s := range r.stores {
		if r.open[s] && !slices.Contains(r.groups[pg], s) {
			out = append(out, s)
		}
	}
	return out
}

func (r *replacer) tails(pg int) (out []int) {
	for _, s := range r.groups[pg][min(vstack.Acceptors, len(r.groups[pg])):] {
		if r.open[s] {
			out = append(out, s)
		}
	}
	return out
}

// compare prefers, for the place i of a group, what spreads it over more hosts, then the
// store that is wanted there, then the host that the group uses least, then less load.
func (r *replacer) compare(pg, i, a, b int) int {
	g := r.groups[pg]
	used := func(s int) (n int) {
		for j, t := range g {
			if j != i && r.host[t] == r.host[s] {
				n++
			}
		}
		return n
	}
	wanted := r.wanted[g[i]]
	isFirst := func(yes bool) int {
		if yes {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(min(used(a), 1), min(used(b), 1)),
		cmp.Compare(isFirst(a == wanted), isFirst(b == wanted)),
		cmp.Compare(used(a), used(b)),
		r.compareLoad(pg, i, a, b),
	)
}

// compareLoad prefers the store with fewer roles of the kind that place i is.
func (r *replacer) compareLoad(pg, i, a, b int) int {
	order := cmp.Compare(r.total[a], r.total[b])
	if i < vstack.Acceptors {
		order = cmp.Or(cmp.Compare(r.acceptor[a], r.acceptor[b]), order)
	}
	if i == 0 {
		order = cmp.Or(order, cmp.Compare(r.lead[a], r.lead[b]))
	}
	return cmp.Or(order, cmp.Compare(r.tie(pg, a), r.tie(pg, b)))
}

func (r *replacer) best(among []int, compare func(a, b int) int) int {
	if len(among) == 0 {
		return -1
	}
	return slices.MinFunc(among, compare)
}

// hosts counts the distinct hosts of some stores.
func (r *replacer) hosts(stores []int) int {
	seen := map[int]bool{}
	for _, s := range stores {
		seen[r.host[s]] = true
	}
	return len(seen)
}
