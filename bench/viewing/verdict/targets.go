package verdict

import (
	"fmt"
	"math"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/viewing"
)

// Target is what the design asks of a policy under a scenario, and what was measured.
type Target struct {
	Set   Key // its Policy is the one that is judged
	Name  string
	Unit  string
	Value float64
	Op    string // "<=", ">=" or "=="
	Limit float64
	Note  string // against whom, where that is not in the name
}

// Reached reports whether the target is; a figure that could not be measured reaches nothing.
func (t Target) Reached() bool {
	switch t.Op {
	case "<=":
		return t.Value <= t.Limit
	case ">=":
		return t.Value >= t.Limit
	}
	return t.Value == t.Limit
}

func (t Target) String() string {
	verdict := "MISSED "
	if t.Reached() {
		verdict = "reached"
	}
	where := "everywhere"
	if t.Set.Scenario != "" {
		where = fmt.Sprintf("%s, %.1f Mbit/s, %v", t.Set.Scenario, t.Set.Bitrate/1e6, t.Set.Buffer)
	}
	s := fmt.Sprintf("%s  %-32s %-46s %8.3g %-6s wanted %s %g", verdict, where, t.Name, t.Value, t.Unit, t.Op, t.Limit)
	if t.Note != "" {
		s += "  (" + t.Note + ")"
	}
	return s
}

// Targets judges a policy for the sets that were measured. Beside what a scenario asks, no
// baseline may beat it by more than a twentieth anywhere.
func (r Results) Targets(policy string, baselines []string) (out []Target) {
	var extra []float64
	for _, set := range r.Sets() {
		j := judge{r: r, set: set, ours: r.At(set, policy), oracle: r.At(set, OracleName)}
		if len(j.ours) == 0 {
			continue
		}
		for _, b := range baselines {
			if b != policy && len(r.At(set, b)) > 0 {
				j.baselines = append(j.baselines, b)
			}
		}
		j.set.Policy = policy
		j.scenario()
		m := viewing.Mean(j.ours)
		extra = append(extra, m.Extra)
		j.want("extra bytes", 100*m.Extra, "%", "<=", 4)
		j.want("requests a chunk", m.Requests, "", "<=", 20)
		j.unbeaten()
		out = append(out, j.out...)
	}
	if len(extra) > 0 {
		out = append(out, Target{Set: Key{Policy: policy}, Name: "extra bytes, mean of all", Unit: "%", Value: 100 * paired.Bootstrap(extra).Mean, Op: "<=", Limit: 1.5})
	}
	return out
}

// judge looks at one set.
type judge struct {
	r            Results
	set          Key
	ours, oracle []viewing.Outcome
	baselines    []string
	out          []Target
}

func (j *judge) want(name string, got float64, unit, op string, limit float64) {
	j.out = append(j.out, Target{Set: j.set, Name: name, Unit: unit, Value: got, Op: op, Limit: limit})
}

// unbeaten adds the figures in which a baseline is better for certain.
func (j *judge) unbeaten() {
	for _, metric := range viewing.Judged() {
		worst, by := paired.Interval{Mean: math.Inf(-1), Low: math.Inf(-1)}, ""
		for _, b := range j.baselines {
			if w := viewing.Worse(metric, j.ours, j.r.At(j.set, b)); w.Low > worst.Low {
				worst, by = w, b
			}
		}
		if worst.Low > 0.05 {
			j.want(metric.Name+": worse than the best baseline by", 100*worst.Low, "%", "<=", 5)
			j.out[len(j.out)-1].Note = fmt.Sprintf("%s; the nearer bound of an interval around %.0f %%", by, 100*worst.Mean)
		}
	}
}

func first(o viewing.Outcome) float64    { return o.First }
func chunkP95(o viewing.Outcome) float64 { return o.ChunkP95 }

// least is the smallest mean of a figure among the baselines.
func (j *judge) least(f func(viewing.Outcome) float64) float64 {
	best := math.Inf(1)
	for _, name := range j.baselines {
		best = min(best, paired.Bootstrap(viewing.Of(j.r.At(j.set, name), f)).Mean)
	}
	return best
}

// at is a quantile of ours.
func (j *judge) at(q float64, f func(viewing.Outcome) float64) float64 {
	return paired.Quantile(viewing.Of(j.ours, f), q)
}

// scenario adds what one scenario asks.
func (j *judge) scenario() {
	m, oracle := viewing.Mean(j.ours), viewing.Mean(j.oracle)
	switch j.set.Scenario {
	case "slow":
		j.want("first picture, p95", j.at(0.95, first), "s", "<=", 0.3)
		j.want("chunk p99 ÷ the oracle's", m.ChunkP99/oracle.ChunkP99, "", "<=", 1.1)
		j.want("bytes from the slow host", 100*m.SlowShare, "%", "<=", 4)
		j.want("stalls", m.Stalls, "", "==", 0)
	case "flap", "flap-deep":
		if j.set.Buffer <= 6*time.Second {
			j.want("stalls", m.Stalls, "", "==", 0)
		}
		if len(j.baselines) > 0 {
			j.want("chunk p95 ÷ the best baseline's", m.ChunkP95/j.least(chunkP95), "", "<=", 0.5)
		}
	case "vanish":
		j.want("gap, p99", j.at(0.99, func(o viewing.Outcome) float64 { return o.Gap }), "s", "<=", 0.3)
		back := j.at(0.95, func(o viewing.Outcome) float64 { return o.Back })
		if least := j.at(0, func(o viewing.Outcome) float64 { return o.Back }); least < 0 {
			back = math.Inf(1) // one never used it again
		}
		j.want("used again after its return, p95", back, "s", "<=", 1.5)
	case "rtt-mix":
		j.want("chunk p95 ÷ the oracle's", m.ChunkP95/oracle.ChunkP95, "", "<=", 1.05)
	case "ghent", "fcc":
		j.traces()
	case "shared-download":
		if len(j.baselines) > 0 {
			best := -j.least(func(o viewing.Outcome) float64 { return -o.Goodput })
			j.want("goodput ÷ the best baseline's", m.Goodput/best, "", ">=", 0.97)
		}
	case "loss-1-download", "loss-2-download":
		if single := j.r.At(j.set, SingleName); len(single) > 0 {
			j.want("goodput ÷ one connection's", m.Goodput/viewing.Mean(single).Goodput, "", ">=", 8)
		}
	case "thin":
		j.want("first fragment, p95", j.at(0.95, first), "s", "<=", 0.23)
	case "clients":
		j.want("hosts' bytes off their rates", 100*m.Deviation, "%", "<=", 15)
	case "clients-uneven":
		j.want("hosts' bytes off their rates", 100*m.Deviation, "%", "<=", 3)
	}
}

// traces compares with the oracle in the pairs in which round robin stalls.
func (j *judge) traces() {
	robin := j.r.At(j.set, "round-robin")
	var gained, possible float64
	for i := range min(len(j.ours), len(robin), len(j.oracle)) {
		if robin[i].StallTime >= 1 {
			gained += robin[i].StallTime - j.ours[i].StallTime
			possible += robin[i].StallTime - j.oracle[i].StallTime
		}
	}
	if possible > 0 {
		j.want("of the oracle's gain in stall time over round robin", 100*gained/possible, "%", ">=", 90)
	}
	j.want("first picture p95 ÷ the oracle's", j.at(0.95, first)/paired.Quantile(viewing.Of(j.oracle, first), 0.95), "", "<=", 1.2)
	if j.set.Bitrate <= 4e6 { // the links carry five times as much
		j.want("first picture, p50", j.at(0.5, first), "s", "<=", 0.25)
	}
}
