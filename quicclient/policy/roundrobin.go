package policy

import "github.com/vstack/vstack/internal/vstack"

// RoundRobin gives chunks whole to the stores that hold them, one after the other,
// whatever is known of them: of a chunk's holders the one that was given the fewest.
//
// With equal links it is hard to beat: the load is even, and nothing is estimated that
// could be wrong. It is the yardstick for what a policy is worth: a scenario in which it
// misses nothing shows nothing.
//
// A slow store gets as much as a fast one, so the slowest holder of each chunk decides
// when it comes. Silent stores are replaced as by all policies that give chunks whole:
// after max(3 PTO, 200 ms) another one is asked beside them.
type RoundRobin struct{ whole }

// NewRoundRobin makes the policy.
func NewRoundRobin() RoundRobin { return RoundRobin{whole{"round-robin", inTurn()}} }

// inTurn picks who was picked the fewest times.
func inTurn() func(*View, *Piece, []int) int {
	picked := map[vstack.StoreID]uint64{} // bounded by the stores of the map
	return func(v *View, _ *Piece, candidates []int) int {
		best := candidates[0]
		for _, i := range candidates {
			if picked[v.Stores[i].Store] < picked[v.Stores[best].Store] {
				best = i
			}
		}
		picked[v.Stores[best].Store]++
		return best
	}
}
