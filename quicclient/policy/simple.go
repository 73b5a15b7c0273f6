package policy

import (
	"cmp"
	"math/bits"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// SimpleName names the policy that NewSimple makes.
const SimpleName = "simple"

// stuckFactor says how much longer than its store's patience one request may make no
// progress while others of the same store do: then the request is stuck, not the store.
const stuckFactor = 5

// Simple gives each chunk whole to one store: the one with the fewest pending bytes, then
// the lowest round-trip time (factors of two; everything below a millisecond is one), then
// in turn. Stores that are ejected or out of reach come last.
//
// When a store falls silent for max(3 PTO, 200 ms), the next one is asked beside it, for
// what has not come; the first one may still win. Where some requests of a store make
// progress, one that does not counts as stuck after five times that.
//
// It was the default before smart. It knows nothing of rates: a store that is slow and not
// silent keeps its chunk.
type Simple struct{ whole }

// NewSimple makes the policy.
func NewSimple() Simple { return Simple{whole{SimpleName, pickSimple}} }

// pickSimple returns the best of the candidates, which are not empty.
func pickSimple(v *View, p *Piece, candidates []int) int {
	var best []int
	for _, i := range candidates {
		switch {
		case len(best) == 0 || compareSimple(&v.Stores[i], &v.Stores[best[0]]) < 0:
			best = append(best[:0], i)
		case compareSimple(&v.Stores[i], &v.Stores[best[0]]) == 0:
			best = append(best, i)
		}
	}
	return best[p.ID%uint64(len(best))]
}

// compareSimple orders stores, best first; 0 is a tie, which the round robin decides.
func compareSimple(a, b *Signals) int {
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(a.Pending, b.Pending),
		cmp.Compare(octave(a.RTT), octave(b.RTT)),
	)
}

// rank puts stores that probably cannot answer behind those that probably can.
func rank(s *Signals) int {
	switch {
	case s.Ejected || s.Link == LinkDown:
		return 3
	case s.State == vstack.StoreDown:
		return 2
	case s.Link == LinkQUIC || s.Link == LinkTCP:
		return 0
	}
	return 1
}

// octave makes round-trip times within a factor of two of each other ties, and all
// below a millisecond: a smaller difference says nothing about the next chunk, and
// would send every chunk to one store.
func octave(rtt time.Duration) int { return bits.Len64(uint64(rtt / time.Millisecond)) }
