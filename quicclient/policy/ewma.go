package policy

// EWMA gives each chunk whole to the holder that would have it delivered first by the
// averages of what it delivered before: what it owes and the chunk, over its rate, after
// its round trip.
//
// It is "peak EWMA" of service meshes for bodies of megabytes: bad news counts at once,
// because the rate is the smaller of an average over two seconds and one over ten, and
// good news slowly. What a store owes is counted, so that the load spreads.
//
// A chunk that was given away stays where it is, also when its store becomes slow; only
// silence has another one asked, as by RoundRobin.
type EWMA struct{ whole }

// NewEWMA makes the policy.
func NewEWMA() EWMA {
	return EWMA{whole{"ewma", func(v *View, p *Piece, candidates []int) int {
		return lowest(p, candidates, func(i int) float64 { return expected(&v.Stores[i], p.Left()) })
	}}}
}

// expected is how many seconds a store should take for n more bytes.
func expected(s *Signals, n int64) float64 {
	return s.RTT.Seconds() + float64(s.Pending+n)/rateOf(s)
}
