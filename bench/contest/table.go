package contest

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// Key names what a list of outcomes is of, one by seed.
type Key struct {
	Scenario, Policy string
	Bitrate          float64 // bits a second
	Buffer           time.Duration
}

// OracleName is the policy under which a Results has the oracle's outcomes.
const OracleName = "oracle"

// Results are the outcomes of a contest, by seed.
type Results map[Key][]Outcome

// sets are what policies were measured under, in the order of the scenarios.
func (r Results) sets() (out []Key) {
	for k := range r {
		k.Policy = ""
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	order := map[string]int{}
	for i, s := range Scenarios() {
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

func (r Results) at(set Key, policy string) []Outcome {
	set.Policy = policy
	return r[set]
}

// Print writes a table of every set, policies below each other.
func (r Results) Print(w io.Writer, names []string) {
	for _, set := range r.sets() {
		pols := r.policies(set, names)
		fmt.Fprintf(w, "\n%s, %.1f Mbit/s, buffer %v, %d seeds\n", set.Scenario, set.Bitrate/1e6, set.Buffer, len(r.at(set, pols[0])))
		fmt.Fprintf(w, "  %-12s %15s %12s %20s %11s %9s %8s %7s %6s\n", "policy", "first p50/p95", "stalls, s", "chunk p50/p95/p99", "late p95", "Mbit/s", "extra", "req", "slow")
		for _, p := range pols {
			o := r.at(set, p)
			m := mean(o)
			first := of(o, func(o Outcome) float64 { return o.First })
			fmt.Fprintf(w, "  %-12s %7.3f %7.3f %4.1f %7.2f %6.2f %6.2f %6.2f %11.3f %9.2f %7.2f%% %7.1f %5.1f%%\n", p,
				quantile(first, 0.5), quantile(first, 0.95), m.Stalls, m.StallTime, m.ChunkP50, m.ChunkP95, m.ChunkP99, m.LateP95, m.Goodput/1e6, 100*m.Extra, m.Requests, 100*m.SlowShare)
		}
	}
}

// Row is one target: what was measured, what it is to be, and whether that was reached.
type Row struct {
	Scenario string
	Target   string
	Got      string
	Reached  bool
}

// Targets judges a policy by what the design asks of it, for the sets that were measured.
func (r Results) Targets(policy string, baselines []string) (rows []Row) {
	var extra []float64
	for _, set := range r.sets() {
		ours, oracle := r.at(set, policy), r.at(set, OracleName)
		if len(ours) == 0 {
			continue
		}
		m := mean(ours)
		label := fmt.Sprintf("%s, %.1f Mbit/s, %v", set.Scenario, set.Bitrate/1e6, set.Buffer)
		add := func(target string, got float64, format string, reached bool) {
			rows = append(rows, Row{label, target, fmt.Sprintf(format, got), reached})
		}
		r.ofScenario(set, ours, oracle, baselines, add)
		extra = append(extra, m.Extra)
		if m.Extra > 0.04 {
			add("extra bytes ≤ 4 %", 100*m.Extra, "%.2f %%", false)
		}
		if m.Requests > 20 {
			add("≤ 20 requests a chunk", m.Requests, "%.1f", false)
		}
		for _, metric := range Judged() {
			worst, by := Interval{Mean: math.Inf(-1), Low: math.Inf(-1)}, ""
			for _, b := range baselines {
				if base := r.at(set, b); b != policy && len(base) > 0 {
					if w := Worse(metric, ours, base); w.Low > worst.Low {
						worst, by = w, b
					}
				}
			}
			if worst.Low > 0.05 {
				add(metric.Name+" not beaten by more than 5 %", 100*worst.Mean, "%.0f %% worse than "+by, false)
			}
		}
	}
	if len(extra) > 0 {
		mean := Bootstrap(extra).Mean
		rows = append(rows, Row{"everywhere", "extra bytes ≤ 1.5 % on average", fmt.Sprintf("%.2f %%", 100*mean), mean <= 0.015})
	}
	return rows
}

// ofScenario adds what one scenario asks.
func (r Results) ofScenario(set Key, ours, oracle []Outcome, baselines []string, add func(string, float64, string, bool)) {
	m := mean(ours)
	p := func(q float64, f func(Outcome) float64) float64 { return quantile(of(ours, f), q) }
	first := func(o Outcome) float64 { return o.First }
	best := func(f func(Outcome) float64) float64 {
		b := math.Inf(1)
		for _, name := range baselines {
			if o := r.at(set, name); len(o) > 0 && name != "smart" {
				b = min(b, Bootstrap(of(o, f)).Mean)
			}
		}
		return b
	}
	switch set.Scenario {
	case "slow":
		add("first picture p95 ≤ 300 ms", p(0.95, first), "%.3f s", p(0.95, first) <= 0.3)
		ratio := m.ChunkP99 / mean(oracle).ChunkP99
		add("chunk p99 ≤ 1.1 × oracle", ratio, "%.2f ×", ratio <= 1.1)
		add("≤ 4 % of bytes from the slow host", 100*m.SlowShare, "%.1f %%", m.SlowShare <= 0.04)
		add("no stall", m.Stalls, "%.2f", m.Stalls == 0)
	case "flap", "flap-deep":
		if set.Buffer <= 6*time.Second {
			add("no stall", m.Stalls, "%.2f", m.Stalls == 0)
		}
		ratio := m.ChunkP95 / best(func(o Outcome) float64 { return o.ChunkP95 })
		add("chunk p95 ≤ ½ of the best baseline", ratio, "%.2f ×", ratio <= 0.5)
	case "vanish":
		add("gap ≤ 300 ms p99", p(0.99, func(o Outcome) float64 { return o.Gap }), "%.3f s", p(0.99, func(o Outcome) float64 { return o.Gap }) <= 0.3)
		back := p(0.95, func(o Outcome) float64 { return o.Back })
		add("used ≤ 1.5 s after its return, p95", back, "%.2f s", back >= 0 && back <= 1.5)
	case "rtt-mix":
		ratio := m.ChunkP95 / mean(oracle).ChunkP95
		add("chunk p95 ≤ 1.05 × oracle", ratio, "%.2f ×", ratio <= 1.05)
	case "ghent", "fcc":
		r.ofTraces(set, ours, oracle, add)
	case "shared-download":
		add("within 3 % of the best baseline's goodput", m.Goodput/1e6, "%.2f Mbit/s", m.Goodput >= 0.97*-best(func(o Outcome) float64 { return -o.Goodput }))
	case "loss-1-download", "loss-2-download":
		if single := r.at(set, SingleName); len(single) > 0 {
			ratio := m.Goodput / mean(single).Goodput
			add("goodput ≥ 8 × one connection", ratio, "%.1f ×", ratio >= 8)
		}
	case "thin":
		add("first fragment ≤ 230 ms p95", p(0.95, first), "%.3f s", p(0.95, first) <= 0.23)
	case "clients":
		add("hosts' bytes within 15 % of their rates", 100*m.Deviation, "%.1f %%", m.Deviation < 0.15)
	case "clients-uneven":
		add("hosts' bytes within 3 % of their rates", 100*m.Deviation, "%.1f %%", m.Deviation < 0.03)
	}
}

// ofTraces compares with the oracle in the pairs in which round robin stalls.
func (r Results) ofTraces(set Key, ours, oracle []Outcome, add func(string, float64, string, bool)) {
	robin := r.at(set, "round-robin")
	var gained, possible float64
	for i := range min(len(ours), len(robin), len(oracle)) {
		if robin[i].StallTime >= 1 {
			gained += robin[i].StallTime - ours[i].StallTime
			possible += robin[i].StallTime - oracle[i].StallTime
		}
	}
	if possible > 0 {
		add("≥ 90 % of the oracle's gain in stall time over round robin", 100*gained/possible, "%.0f %%", gained >= 0.9*possible)
	}
	first := func(o Outcome) float64 { return o.First }
	ratio := quantile(of(ours, first), 0.95) / quantile(of(oracle, first), 0.95)
	add("first picture p95 ≤ 1.2 × oracle", ratio, "%.2f ×", ratio <= 1.2)
	if p50 := quantile(of(ours, first), 0.5); set.Bitrate <= 4e6 { // the links carry five times as much
		add("first picture p50 ≤ 250 ms", p50, "%.3f s", p50 <= 0.25)
	}
}
