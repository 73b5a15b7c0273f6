package policy

import "math/rand/v2"

// P2C draws two of a chunk's holders and gives it whole to the one that owes less, the
// power of two choices (Mitzenmacher).
//
// For many clients it is nearly as even as asking everybody how busy they are, and does
// not send all of them to the same store, as picking the best one would. What a store owes
// is what this client sees of it; the store's own count of requests, which it says with
// each answer, decides among equals.
//
// It balances load, not rate: a slow store that owes nothing wins against a fast one that
// owes a little. Silent stores are replaced as by RoundRobin.
type P2C struct{ whole }

// NewP2C makes the policy.
func NewP2C(seed uint64) P2C {
	r := rand.New(rand.NewPCG(seed, 2))
	return P2C{whole{"p2c", func(v *View, _ *Piece, candidates []int) int {
		a := r.IntN(len(candidates))
		b := (a + 1 + r.IntN(max(len(candidates)-1, 1))) % len(candidates)
		one, two := candidates[a], candidates[b]
		x, y := &v.Stores[one], &v.Stores[two]
		if y.Pending < x.Pending || y.Pending == x.Pending && y.Busy < x.Busy {
			return two
		}
		return one
	}}}
}
