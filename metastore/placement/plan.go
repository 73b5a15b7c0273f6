package placement

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// MaxStores bounds what one plan may spread over.
const MaxStores = 1024

// Store is what the planner needs to know of a store.
type Store struct {
	ID   vstack.StoreID
	Host vstack.HostID
	// Weight is its share of roles beside others' when roles are balanced; 0 counts as 1.
	Weight int64
}

// Ready reports whether stores suffice for a first plan: vstack.Acceptors stores, on
// at least minHosts hosts.
func Ready(stores []Store, minHosts int) bool {
	hosts := map[vstack.HostID]bool{}
	for _, s := range stores {
		hosts[s.Host] = true
	}
	return len(stores) >= vstack.Acceptors && len(hosts) >= minHosts
}

// Plan assigns targets to every placement group. The order of stores does not matter.
func Plan(stores []Store) ([vstack.PlacementGroups][]vstack.StoreID, error) {
	var out [vstack.PlacementGroups][]vstack.StoreID
	if len(stores) < vstack.Acceptors || len(stores) > MaxStores {
		return out, fmt.Errorf("plan placement over %d stores: %w: want %d to %d", len(stores), vstack.ErrInvalid, vstack.Acceptors, MaxStores)
	}
	p := newPlanner(stores)
	for i := 1; i < len(p.stores); i++ {
		if p.stores[i-1].ID == p.stores[i].ID {
			return out, fmt.Errorf("plan placement: %w: store %s is listed twice", vstack.ErrInvalid, p.stores[i].ID)
		}
	}
	p.assignAcceptors()
	p.balanceLeads()
	p.assignTails()
	b := &balancer{planner: p, open: slices.Repeat([]bool{true}, len(p.stores)), lead: make([]int, len(p.stores)), n: len(p.groups), want: vstack.Targets}
	for _, g := range p.groups {
		b.lead[g[0]]++
	}
	b.even()
	for pg, members := range p.groups {
		for _, s := range members {
			out[pg] = append(out[pg], p.stores[s].ID)
		}
	}
	return out, nil
}

// planner holds one run. Stores and hosts are named by their index.
type planner struct {
	stores []Store
	host   []int   // of each store
	onHost [][]int // stores of each host
	groups [vstack.PlacementGroups][]int

	acceptor []int // acceptor roles of each store
	total    []int // all roles of each store
}

func newPlanner(stores []Store) *planner {
	p := &planner{stores: slices.Clone(stores)}
	slices.SortFunc(p.stores, func(a, b Store) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	var hosts []vstack.HostID
	for _, s := range p.stores {
		hosts = append(hosts, s.Host)
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	p.onHost = make([][]int, len(hosts))
	for i, s := range p.stores {
		h, _ := slices.BinarySearch(hosts, s.Host)
		p.host = append(p.host, h)
		p.onHost[h] = append(p.onHost[h], i)
	}
	p.acceptor = make([]int, len(p.stores))
	p.total = make([]int, len(p.stores))
	return p
}

// assignAcceptors gives each group its voting stores: first how many roles each host
// owes, then which groups it serves, then which of its stores serve them.
func (p *planner) assignAcceptors() {
	owed := p.hostQuotas()
	for pg := range p.groups {
		used := make([]int, len(p.onHost)) // roles of this group on each host
		for range vstack.Acceptors {
			// Always serving the hosts that owe most keeps every later group
			// feasible: a host that owes as many roles as groups are left is among
			// the largest and is never passed over.
			h := p.pickHost(pg, used, func(a, b int) int { return cmp.Compare(owed[b], owed[a]) })
			owed[h]--
			used[h]++
			s := p.pickStore(pg, h, p.acceptor)
			p.groups[pg] = append(p.groups[pg], s)
			p.acceptor[s]++
			p.total[s]++
		}
	}
}

// hostQuotas shares the acceptor roles out in proportion to stores, a host never
// getting more than one role a group while there are hosts enough.
func (p *planner) hostQuotas() []int {
	quota := make([]int, len(p.onHost))
	limit := func(h int) int {
		perGroup := 1
		if len(p.onHost) < vstack.Acceptors {
			perGroup = vstack.Acceptors
		}
		return vstack.PlacementGroups * min(perGroup, len(p.onHost[h]))
	}
	for range vstack.PlacementGroups * vstack.Acceptors {
		best := -1
		for h := range quota {
			if quota[h] >= limit(h) {
				continue
			}
			// Compare quota/stores without dividing; equal shares go to the lower index.
			if best < 0 || quota[h]*len(p.onHost[best]) < quota[best]*len(p.onHost[h]) {
				best = h
			}
		}
		quota[best]++
	}
	return quota
}

// assignTails adds the targets beyond the acceptors, on the hosts that the group uses
// least, there on the stores with the fewest roles.
func (p *planner) assignTails() {
	for pg := range p.groups {
		used := make([]int, len(p.onHost))
		for _, s := range p.groups[pg] {
			used[p.host[s]]++
		}
		for len(p.groups[pg]) < min(vstack.Targets, len(p.stores)) {
			// By the store that would take the role, not by the host's sum: where a host
			// has one store left for the group, the sum hides how loaded that one is.
			h := p.pickHost(pg, used, func(a, b int) int {
				return cmp.Or(
					cmp.Compare(p.total[p.pickStore(pg, a, p.total)], p.total[p.pickStore(pg, b, p.total)]),
					cmp.Compare(p.roles(a)*len(p.onHost[b]), p.roles(b)*len(p.onHost[a])),
				)
			})
			used[h]++
			s := p.pickStore(pg, h, p.total)
			p.groups[pg] = append(p.groups[pg], s)
			p.total[s]++
		}
	}
}

// roles is the sum of a host's roles.
func (p *planner) roles(h int) (n int) {
	for _, s := range p.onHost[h] {
		n += p.total[s]
	}
	return n
}

// pickHost chooses among hosts with an unused store: least used by this group, then
// by less, then by hash.
func (p *planner) pickHost(pg int, used []int, less func(a, b int) int) int {
	best := -1
	for h := range p.onHost {
		if used[h] == len(p.onHost[h]) {
			continue
		}
		if best < 0 || cmp.Or(
			cmp.Compare(used[h], used[best]),
			less(h, best),
			cmp.Compare(p.tie(pg, p.onHost[h][0]), p.tie(pg, p.onHost[best][0])),
		) < 0 {
			best = h
		}
	}
	return best
}

// pickStore chooses the host's store with the lowest load that the group does not use.
func (p *planner) pickStore(pg, h int, load []int) int {
	best := -1
	for _, s := range p.onHost[h] {
		if slices.Contains(p.groups[pg], s) {
			continue
		}
		if best < 0 || cmp.Or(cmp.Compare(load[s], load[best]), cmp.Compare(p.tie(pg, s), p.tie(pg, best))) < 0 {
			best = s
		}
	}
	return best
}

// tie is a hash of (group, store).
func (p *planner) tie(pg, s int) uint64 {
	var b [18]byte
	binary.LittleEndian.PutUint16(b[:], uint16(pg))
	copy(b[2:], p.stores[s].ID[:])
	h := sha256.Sum256(b[:])
	return binary.LittleEndian.Uint64(h[:])
}
