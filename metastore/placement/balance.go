package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Balance returns new targets of the groups that change for every open store to carry its
// share of the roles, nil for the others. Shares are by weight, within one role; a group
// that has fewer targets than there are stores for gets more. The roles of stores that are
// not open stay where they are.
//
// A move never spreads a group over fewer hosts. Where a group can be spread better it is,
// and else only as many roles move to another store as some store has too many: those that
// only change their kind move within their group, which costs no bytes.
func Balance(c Change) ([][]vstack.StoreID, error) {
	b, err := newBalancer(c)
	if err != nil {
		return nil, err
	}
	before := make([][]int, len(c.Groups))
	for pg := range before {
		before[pg] = slices.Clone(b.groups[pg])
	}
	b.widen()
	b.even()
	out := make([][]vstack.StoreID, len(c.Groups))
	for pg := range before {
		if slices.Equal(before[pg], b.groups[pg]) {
			continue
		}
		for _, s := range b.groups[pg] {
			out[pg] = append(out[pg], b.stores[s].ID)
		}
	}
	return out, nil
}

// even moves roles until nothing moves any more: votes that moved may let a role go where it
// could not before.
func (b *balancer) even() {
	for range maxRounds {
		b.spread()
		share := b.shares(b.want, b.total, nil)
		moved := b.flow(b.total, share, b.rolesOf, b.replaceable, b.replace)
		moved += b.flow(b.acceptor, b.shares(vstack.Acceptors, b.acceptor, b.total), b.votesOf, b.promotable, b.promote)
		if moved += b.flow(b.lead, b.leadShares(), b.leadsOf, b.leadable, b.hand); moved == 0 {
			return
		}
	}
}

// maxRounds bounds the rounds of even; the second one finds little to do.
const maxRounds = 8

// Excess is by how much the worst of some open stores misses its share of the roles, as a
// part of it: 1 for a store that has nothing, or twice its share.
func Excess(c Change) (float64, error) {
	b, err := newBalancer(c)
	if err != nil {
		return 0, err
	}
	b.widen()
	worst := 0.0
	for s, share := range b.shares(b.want, b.total, nil) {
		if off := max(share-b.total[s], b.total[s]-share); b.open[s] && off > 1 {
			worst = max(worst, float64(off)/float64(max(share, 1)))
		}
	}
	return worst, nil
}

// balancer is a planner that starts from what is, and moves as little as it can.
type balancer struct {
	*planner
	open []bool
	lead []int
	n    int // groups
	want int // targets of each
}

func newBalancer(c Change) (*balancer, error) {
	r, err := newReplacer(Change{Groups: c.Groups, Stores: c.Stores, Open: c.Open})
	if err != nil {
		return nil, fmt.Errorf("balance: %w", err)
	}
	return &balancer{planner: r.planner, open: r.open, lead: r.lead, n: len(c.Groups), want: cmp.Or(c.Targets, vstack.Targets)}, nil
}

// widen gives groups more targets while stores are left for them.
func (b *balancer) widen() {
	for pg := range b.groups[:b.n] {
		for len(b.groups[pg]) < b.want {
			s := b.least(pg, func(int) bool { return true })
			if s < 0 {
				break
			}
			b.groups[pg] = append(b.groups[pg], s)
			b.total[s]++
		}
	}
}

// least is the open store outside of a group on the host that the group uses least, then the
// one with the fewest roles for its weight, of those that may be; -1 if there is none.
func (b *balancer) least(pg int, may func(s int) bool) int {
	best := -1
	for s := range b.stores {
		if !b.open[s] || slices.Contains(b.groups[pg], s) || !may(s) {
			continue
		}
		if best < 0 || cmp.Or(
			cmp.Compare(b.on(pg, b.host[s]), b.on(pg, b.host[best])),
			b.compareShare(b.total, s, best),
			cmp.Compare(b.tie(pg, s), b.tie(pg, best)),
		) < 0 {
			best = s
		}
	}
	return best
}

// on counts a group's targets on a host.
func (b *balancer) on(pg, host int) (n int) {
	for _, s := range b.groups[pg] {
		if b.host[s] == host {
			n++
		}
	}
	return n
}

func (b *balancer) compareShare(load []int, x, y int) int {
	return cmp.Compare(int64(load[x])*b.weight(y), int64(load[y])*b.weight(x))
}

func (b *balancer) weight(s int) int64 { return max(b.stores[s].Weight, 1) }

// spread moves what lies on fewer hosts than it could.
func (b *balancer) spread() {
	for pg := range b.groups[:b.n] {
		for range b.want { // each step uses one host more, or one less twice
			if !b.spreadOne(pg) {
				break
			}
		}
	}
}

func (b *balancer) spreadOne(pg int) bool {
	g := b.groups[pg]
	was := b.measure(g)
	try := func(change func()) bool {
		saved := slices.Clone(g)
		change()
		if b.measure(g).compare(was) > 0 {
			return true
		}
		copy(g, saved)
		return false
	}
	for i := range g[:min(vstack.Acceptors, len(g))] { // within the group first: that moves no bytes
		for j := vstack.Acceptors; j < len(g); j++ {
			if b.open[g[i]] && b.open[g[j]] && try(func() { g[i], g[j] = g[j], g[i] }) {
				b.acceptor[g[i]]++
				b.acceptor[g[j]]--
				if i == 0 {
					b.lead[g[i]]++
					b.lead[g[j]]--
				}
				return true
			}
		}
	}
	for i := len(g) - 1; i >= 0; i-- {
		gone := g[i]
		s := b.least(pg, func(s int) bool { return b.host[s] != b.host[gone] })
		if s >= 0 && b.open[gone] && try(func() { g[i] = s }) {
			b.uncount(gone, i)
			b.count(s, i)
			return true
		}
	}
	return false
}

func (b *balancer) count(s, i int)   { b.add(s, i, 1) }
func (b *balancer) uncount(s, i int) { b.add(s, i, -1) }

func (b *balancer) add(s, i, n int) {
	b.total[s] += n
	if i < vstack.Acceptors {
		b.acceptor[s] += n
	}
	if i == 0 {
		b.lead[s] += n
	}
}

// spreading says how well a group is spread: over how many hosts its acceptors are, and how
// many of its targets are on the host with the most of them, the next one and so on.
type spreading struct {
	acceptors int
	most      [vstack.MaxTargets]int
}

func (b *balancer) measure(g []int) (m spreading) {
	var hosts [vstack.MaxTargets]int
	n := 0
	for i, s := range g {
		at := slices.Index(hosts[:n], b.host[s])
		if at < 0 {
			at = n
			hosts[n] = b.host[s]
			n++
			if i < vstack.Acceptors {
				m.acceptors++
			}
		}
		m.most[at]++
	}
	slices.SortFunc(m.most[:], func(x, y int) int { return cmp.Compare(y, x) })
	return m
}

// compare is positive where m is the better one.
func (m spreading) compare(o spreading) int {
	return cmp.Or(cmp.Compare(m.acceptors, o.acceptors), slices.Compare(o.most[:], m.most[:]))
}
