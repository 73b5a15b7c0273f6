package policy

import "math"

// C3 ranks holders as Cassandra's adaptive replica selection does (Suresh et al., NSDI
// 2015): the response time that the client saw, less the service time, plus the service
// time times the cube of the queue that the store must have.
//
//	R − 1/µ + q³/µ,  q = 1 + requests of this client × weight + requests that the store says
//
// The cube makes a long queue count for far more than a fast server does, so that fast
// stores are not flooded by everyone at once. R is the time to a chunk's last byte by the
// rate and the round trip, 1/µ the time at the store's disk and link for one chunk.
//
// The original also limits the rate at which each replica is asked; here the four chunks
// in flight do. Silent stores are replaced as by RoundRobin.
type C3 struct{ whole }

// c3Weight is how many clients like this one a store is taken to have.
const c3Weight = 1

// NewC3 makes the policy.
func NewC3() C3 {
	return C3{whole{"c3", func(v *View, p *Piece, candidates []int) int {
		return lowest(p, candidates, func(i int) float64 { return c3Score(&v.Stores[i], p.Left()) })
	}}}
}

func c3Score(s *Signals, n int64) float64 {
	service := s.Disk.Seconds() + float64(n)/rateOf(s)
	response := max(s.RTT, s.TTFB).Seconds() + service
	queue := 1 + float64(s.InFlight)*c3Weight + float64(s.Busy)
	return response - service + math.Pow(queue, 3)*service
}
