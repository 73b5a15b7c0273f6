package policy

// LeastRTT gives each chunk whole to the holder with the lowest smoothed round-trip time.
//
// QUIC measures that with every acknowledgement, so it is always fresh, and a queue on the
// way shows in it as soon as it grows. It is what many clients of mirrors and databases
// do.
//
// A round-trip time says nothing about rate: a near store behind a thin link wins against a
// far one behind a wide link. And the store that wins gets everything, until its own queue
// makes it lose: the load swings. Silent stores are replaced as by RoundRobin.
type LeastRTT struct{ whole }

// NewLeastRTT makes the policy.
func NewLeastRTT() LeastRTT {
	return LeastRTT{whole{"least-rtt", func(v *View, p *Piece, candidates []int) int {
		return lowest(p, candidates, func(i int) float64 { return v.Stores[i].RTT.Seconds() })
	}}}
}

// lowest is the candidate with the lowest cost; the piece's number decides among equals.
func lowest(p *Piece, candidates []int, cost func(i int) float64) int {
	n := len(candidates)
	best := candidates[p.ID%uint64(n)]
	for k := range n {
		if i := candidates[(p.ID+uint64(k))%uint64(n)]; cost(i) < cost(best) {
			best = i
		}
	}
	return best
}
