package policy

import "time"

// Score is the rule of the program that V-Stack took over from: each chunk goes whole to
// the store with the highest
//
//	(bandwidth × reliability) / (1 + latency × 0.1)
//
// with bandwidth in Mbit/s, reliability as the part of attempts that did not fail, and
// latency in milliseconds. There a probe measured them every three seconds; here they are
// the signals of now, so it is flattered. Four chunks run at a time.
//
// It sees a slow store, but only once it has been slow for a while, and gives all four
// chunks to the best one at once, whatever that owes already.
type Score struct{ whole }

// NewScore makes the policy.
func NewScore() Score { return Score{whole{"score", pickScore}} }

func pickScore(v *View, p *Piece, candidates []int) int {
	best, highest := candidates[p.ID%uint64(len(candidates))], -1.0
	for _, i := range candidates {
		if s := scoreOf(&v.Stores[i]); s > highest {
			best, highest = i, s
		}
	}
	return best
}

// scoreOf is the formula.
func scoreOf(s *Signals) float64 {
	bandwidth := rateOf(s) * 8 / 1e6
	reliability := 1.0
	if n := s.Chunks + s.Errors; n > 0 {
		reliability = float64(s.Chunks) / float64(n)
	}
	latency := float64(s.RTT) / float64(time.Millisecond)
	return bandwidth * reliability / (1 + latency*0.1)
}
