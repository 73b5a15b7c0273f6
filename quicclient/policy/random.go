package policy

import "math/rand/v2"

// Random gives each chunk whole to one of its holders, drawn evenly.
//
// Any number of clients that know nothing of each other load the stores evenly over
// time, and no two fall into step, as round robins may.
//
// It is what a load balancer without state does, and worse than round robin for one
// client: sometimes two chunks in a row meet at a store while another has nothing to do.
// The generator begins with the seed that NewRandom is given, so that a run can be made
// again.
//
// Silent stores are replaced as by RoundRobin.
type Random struct{ whole }

// NewRandom makes the policy.
func NewRandom(seed uint64) Random {
	r := rand.New(rand.NewPCG(seed, 1))
	return Random{whole{"random", func(_ *View, _ *Piece, candidates []int) int { return candidates[r.IntN(len(candidates))] }}}
}
