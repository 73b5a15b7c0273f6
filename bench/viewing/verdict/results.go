package verdict

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/scenario"
)

// Key names what a list of outcomes is of, one by seed.
type Key struct {
	Scenario, Policy string
	Bitrate          float64 // bits a second
	Buffer           time.Duration
}

// SingleName is the policy that is no policy: one connection to one store, one chunk after the
// other.
const SingleName = "one-connection"

// OracleName is the policy under which a Results has the oracle's outcomes.
const OracleName = "oracle"

// Results are the outcomes of a contest, by seed.
type Results map[Key][]viewing.Outcome

// Sets are what policies were measured under, in the order of the scenarios.
func (r Results) Sets() (out []Key) {
	for k := range r {
		k.Policy = ""
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	order := map[string]int{}
	for i, s := range scenario.All() {
		order[s.Name] = i
	}
	slices.SortFunc(out, func(a, b Key) int {
		if a.Scenario != b.Scenario {
			return order[a.Scenario] - order[b.Scenario]
		}
		if a.Bitrate != b.Bitrate {
			return int(a.Bitrate - b.Bitrate)
		}
		return int(a.Buffer - b.Buffer)
	})
	return out
}

// policies that were measured under a set, the oracle last.
func (r Results) policies(set Key, names []string) (out []string) {
	for _, n := range append(slices.Clone(names), OracleName, SingleName) {
		set.Policy = n
		if len(r[set]) > 0 {
			out = append(out, n)
		}
	}
	return out
}

// At are the outcomes of a policy under a set, by seed.
func (r Results) At(set Key, policy string) []viewing.Outcome {
	set.Policy = policy
	return r[set]
}

// Print writes a table of every set, policies below each other.
func (r Results) Print(w io.Writer, names []string) {
	for _, set := range r.Sets() {
		pols := r.policies(set, names)
		fmt.Fprintf(w, "\n%s, %.1f Mbit/s, buffer %v, %d seeds\n", set.Scenario, set.Bitrate/1e6, set.Buffer, len(r.At(set, pols[0])))
		fmt.Fprintf(w, "  %-12s %15s %12s %20s %11s %9s %8s %7s %6s\n", "policy", "first p50/p95", "stalls, s", "chunk p50/p95/p99", "late p95", "Mbit/s", "extra", "req", "slow")
		for _, p := range pols {
			o := r.At(set, p)
			m := viewing.Mean(o)
			first := viewing.Of(o, func(o viewing.Outcome) float64 { return o.First })
			fmt.Fprintf(w, "  %-12s %7.3f %7.3f %4.1f %7.2f %6.2f %6.2f %6.2f %11.3f %9.2f %7.2f%% %7.1f %5.1f%%\n", p,
				paired.Quantile(first, 0.5), paired.Quantile(first, 0.95), m.Stalls, m.StallTime, m.ChunkP50, m.ChunkP95, m.ChunkP99, m.LateP95, m.Goodput/1e6, 100*m.Extra, m.Requests, 100*m.SlowShare)
		}
	}
}
