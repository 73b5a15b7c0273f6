package placement

import (
	"cmp"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// balanceLeads orders each group's acceptors so that leads are spread equally. It
// starts greedily and then moves leads along chains of groups (store a leads a group
// in which b votes, b leads one in which c votes, …) from a store with many leads to
// one with at least two fewer, until there is no such chain: then the leads are as
// equal as the acceptor roles allow.
func (p *planner) balanceLeads() {
	leads := make([]int, len(p.stores))
	for pg := range p.groups {
		best := 0
		for i, s := range p.groups[pg] {
			b := p.groups[pg][best]
			if cmp.Or(cmp.Compare(leads[s], leads[b]), cmp.Compare(p.tie(pg, s), p.tie(pg, b))) < 0 {
				best = i
			}
		}
		p.setLead(pg, best)
		leads[p.groups[pg][0]]++
	}
	// Each move lowers the sum of squares, so the loop ends; the bound is a guard.
	for range vstack.PlacementGroups * vstack.PlacementGroups {
		if !p.moveLead(leads) {
			return
		}
	}
}

func (p *planner) setLead(pg, i int) {
	g := p.groups[pg]
	g[0], g[i] = g[i], g[0]
}

// moveLead finds one chain by breadth-first search, heaviest stores first, and
// applies it.
func (p *planner) moveLead(leads []int) bool {
	order := make([]int, len(p.stores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(leads[b], leads[a]) })
	ledBy := make([][]int, len(p.stores))
	for pg := range p.groups {
		ledBy[p.groups[pg][0]] = append(ledBy[p.groups[pg][0]], pg)
	}
	for _, from := range order {
		if to, via := p.search(from, leads, ledBy); to >= 0 {
			// Walk back: in the group by which a store was reached, it takes the lead.
			leads[from]--
			leads[to]++
			for s := to; s != from; {
				pg := via[s]
				before := p.groups[pg][0]
				p.setLead(pg, slices.Index(p.groups[pg], s))
				s = before
			}
			return true
		}
	}
	return false
}

// search returns a store with at least two leads fewer than from, reachable by
// handing leads over, and by which group each store was reached; -1 if none.
func (p *planner) search(from int, leads []int, ledBy [][]int) (int, []int) {
	via := make([]int, len(p.stores))
	for i := range via {
		via[i] = -1
	}
	seen := make([]bool, len(p.stores))
	seen[from] = true
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		for _, pg := range ledBy[queue[0]] {
			for _, s := range p.groups[pg][1:] {
				if seen[s] {
					continue
				}
				seen[s] = true
				via[s] = pg
				if leads[s]+2 <= leads[from] {
					return s, via
				}
				queue = append(queue, s)
			}
		}
	}
	return -1, nil
}
