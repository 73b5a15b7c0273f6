package placement

import (
	"cmp"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// shares are the roles that each store should have of those that open stores have now, as
// load counts them; n is how many of the kind a group has, most what a store may have of
// them besides a role in every group, nil for no such bound. A store that is not open keeps
// what it has.
//
// First hosts get their shares, between what the spreading of groups makes them hold at
// least and at most, then their stores.
func (b *balancer) shares(n int, load, most []int) []int {
	out := slices.Clone(load)
	hosts := make([]portion, len(b.onHost))
	sum, fixed := 0, false
	for h, stores := range b.onHost {
		for _, s := range stores {
			if !b.open[s] {
				fixed = fixed || load[s] > 0
				continue
			}
			sum += load[s]
			hosts[h].weight += b.weight(s)
			hosts[h].have += load[s]
			hosts[h].most += b.most(s, most)
			hosts[h].places++
		}
	}
	b.level(hosts, n)
	if fixed { // what is held elsewhere may be what a host would have to hold
		for h := range hosts {
			hosts[h].least = 0
		}
	}
	divide(sum, hosts)
	for h, stores := range b.onHost {
		var of []portion
		var ids []int
		for _, s := range stores {
			if b.open[s] {
				of = append(of, portion{weight: b.weight(s), have: load[s], most: b.most(s, most)})
				ids = append(ids, s)
			}
		}
		divide(hosts[h].share, of)
		for i, s := range ids {
			out[s] = of[i].share
		}
	}
	return out
}

func (b *balancer) most(s int, most []int) int {
	if most == nil {
		return b.n
	}
	return min(b.n, most[s])
}

// level bounds what hosts hold when each group fills hosts evenly: every host gets one
// target, if it has a store for it, before any gets a second one.
func (b *balancer) level(hosts []portion, n int) {
	filled := func(level int) (sum int) {
		for _, h := range hosts {
			sum += min(h.places, level)
		}
		return sum
	}
	level := 0
	for level < n && filled(level+1) <= n {
		level++
	}
	for i := range hosts {
		h := &hosts[i]
		h.least = min(h.most, b.n*min(h.places, level))
		h.most = min(h.most, b.n*min(h.places, level+1))
	}
}

// portion is one of those among whom something is divided.
type portion struct {
	weight      int64
	have        int // now: who has more gets what cannot be divided evenly
	least, most int
	places      int
	share       int
}

// divide shares sum out by weight within the portions' bounds, one by one to whoever is
// furthest below.
func divide(sum int, among []portion) {
	for i := range among {
		among[i].share = min(among[i].least, sum)
		sum -= among[i].share
	}
	for ; sum > 0; sum-- {
		best := -1
		for i, p := range among {
			if p.share >= p.most || p.weight == 0 {
				continue
			}
			if best < 0 {
				best = i
				continue
			}
			q := among[best]
			// (share + ½) ÷ weight, without dividing.
			if cmp.Or(cmp.Compare(int64(2*p.share+1)*q.weight, int64(2*q.share+1)*p.weight), cmp.Compare(q.have, p.have)) < 0 {
				best = i
			}
		}
		if best < 0 {
			return
		}
		among[best].share++
	}
}

// leadShares are the leads that each store should have, of groups in which it votes.
func (b *balancer) leadShares() []int {
	out := slices.Clone(b.lead)
	var of []portion
	var ids []int
	sum := 0
	for s := range b.stores {
		if b.open[s] {
			of = append(of, portion{weight: b.weight(s), have: b.lead[s], most: b.acceptor[s]})
			ids = append(ids, s)
			sum += b.lead[s]
		}
	}
	divide(sum, of)
	for i, s := range ids {
		out[s] = of[i].share
	}
	return out
}

// flow moves roles of one kind from stores that have more than their share to stores that
// have less, each along a shortest chain of moves in different groups. groups are those in
// which a store has such a role, in the order in which it gives them up; may says whether
// another can take it, and give does it.
func (b *balancer) flow(load, share []int, groups func(s int) []int, may func(pg, from, to int) bool, give func(pg, from, to int)) (moved int) {
	for range b.n * b.want { // each round brings two stores nearer to their shares
		path := b.path(load, share, groups, may)
		if path == nil {
			break
		}
		for _, m := range path {
			give(m.pg, m.from, m.to)
		}
		moved += len(path)
	}
	return moved
}

// move is one role that goes from one store to another.
type move struct{ pg, from, to int }

// path is a shortest chain from a store with too much to one with too little; nil if there
// is none.
func (b *balancer) path(load, share []int, groups func(s int) []int, may func(pg, from, to int) bool) []move {
	var queue []int
	for s := range b.stores {
		if b.open[s] && load[s] > share[s] {
			queue = append(queue, s)
		}
	}
	slices.SortStableFunc(queue, func(x, y int) int { return cmp.Compare(load[y]-share[y], load[x]-share[x]) })
	reached := make([]*move, len(b.stores)) // by which move
	seen := make([]bool, len(b.stores))
	for _, s := range queue {
		seen[s] = true
	}
	chain := func(s int) (out []move) {
		for m := reached[s]; m != nil; m = reached[m.from] {
			out = append(out, *m)
		}
		return out
	}
	for ; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		used := chain(from)
		next := map[int]*move{} // the best way to each store, this one's deficits first
		var order []int
		for _, pg := range groups(from) {
			if slices.ContainsFunc(used, func(m move) bool { return m.pg == pg }) {
				continue
			}
			for to := range b.stores {
				if !b.open[to] || seen[to] || next[to] != nil || !may(pg, from, to) {
					continue
				}
				next[to] = &move{pg, from, to}
				order = append(order, to)
			}
		}
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(share[y]-load[y], share[x]-load[x]) })
		for _, to := range order {
			seen[to], reached[to] = true, next[to]
			if load[to] < share[to] {
				return chain(to)
			}
			queue = append(queue, to)
		}
	}
	return nil
}

// rolesOf are the groups in which a store is a target, those first where it does not vote:
// no vote has to move with them.
func (b *balancer) rolesOf(s int) (out []int) {
	for pg := range b.groups[:b.n] {
		if slices.Contains(b.groups[pg], s) {
			out = append(out, pg)
		}
	}
	slices.SortStableFunc(out, func(x, y int) int {
		return cmp.Compare(slices.Index(b.groups[y], s), slices.Index(b.groups[x], s))
	})
	return out
}

// replaceable reports whether a store outside of a group may take a target's place.
func (b *balancer) replaceable(pg, from, to int) bool {
	g := b.groups[pg]
	i := slices.Index(g, from)
	if slices.Contains(g, to) {
		return false
	}
	was := b.measure(g)
	g[i] = to
	now := b.measure(g)
	g[i] = from
	return now.acceptors >= was.acceptors && slices.Compare(now.most[:], was.most[:]) <= 0
}

func (b *balancer) replace(pg, from, to int) {
	i := slices.Index(b.groups[pg], from)
	b.groups[pg][i] = to
	b.uncount(from, i)
	b.count(to, i)
}

// votesOf are the groups in which a store votes, those first where it does not lead.
func (b *balancer) votesOf(s int) (out []int) {
	for _, pg := range b.rolesOf(s) {
		if slices.Index(b.groups[pg], s) < vstack.Acceptors {
			out = append(out, pg)
		}
	}
	return out
}

// promotable reports whether a tail of a group may take an acceptor's place.
func (b *balancer) promotable(pg, from, to int) bool {
	g := b.groups[pg]
	i, j := slices.Index(g, from), slices.Index(g, to)
	if j < vstack.Acceptors {
		return false // it votes already, or is no target
	}
	was := b.measure(g)
	g[i], g[j] = to, from
	now := b.measure(g)
	g[i], g[j] = from, to
	return now.acceptors >= was.acceptors
}

func (b *balancer) promote(pg, from, to int) {
	g := b.groups[pg]
	i, j := slices.Index(g, from), slices.Index(g, to)
	g[i], g[j] = to, from
	b.acceptor[from]--
	b.acceptor[to]++
	if i == 0 {
		b.lead[from]--
		b.lead[to]++
	}
}

func (b *balancer) leadsOf(s int) (out []int) {
	for pg := range b.groups[:b.n] {
		if b.groups[pg][0] == s {
			out = append(out, pg)
		}
	}
	return out
}

// leadable reports whether another acceptor of a group may lead it.
func (b *balancer) leadable(pg, _, to int) bool {
	return slices.Contains(b.groups[pg][1:min(vstack.Acceptors, len(b.groups[pg]))], to)
}

func (b *balancer) hand(pg, from, to int) {
	b.setLead(pg, slices.Index(b.groups[pg], to))
	b.lead[from]--
	b.lead[to]++
}
