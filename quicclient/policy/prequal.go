package policy

import (
	"slices"
)

// hotQuantile is the part of the holders whose queues count as short.
const hotQuantile = 0.84

// Prequal picks by the rule of Prequal (Wydrowski et al., NSDI 2024): holders whose requests
// in flight lie above the 84th percentile are hot; of those that are not, the one with the
// lowest latency is taken, and if all are hot, the one with the fewest requests.
//
// Load tells first when a server is about to become slow, latency tells which of those that
// are not is best. The original probes servers at a distance from requests; here every
// answer carries the store's requests in flight, and the round-trip time and time to first
// byte are this client's own.
//
// It was made for small requests, for which latency is everything: what a chunk of
// megabytes needs is rate. Silent stores are replaced as by RoundRobin.
type Prequal struct{ whole }

// NewPrequal makes the policy.
func NewPrequal() Prequal {
	return Prequal{whole{"prequal", func(v *View, p *Piece, candidates []int) int {
		load := func(i int) int { return max(v.Stores[i].Busy, v.Stores[i].InFlight) }
		loads := make([]int, len(candidates))
		for k, i := range candidates {
			loads[k] = load(i)
		}
		slices.Sort(loads)
		bound := loads[int(hotQuantile*float64(len(loads)-1))]
		var cold []int
		for _, i := range candidates {
			if load(i) <= bound {
				cold = append(cold, i)
			}
		}
		return lowest(p, cold, func(i int) float64 { return max(v.Stores[i].RTT, v.Stores[i].TTFB).Seconds() })
	}}}
}
