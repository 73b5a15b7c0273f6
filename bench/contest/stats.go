package contest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Metric is one figure of an Outcome.
type Metric struct {
	Name string
	Of   func(Outcome) float64
	// More is better; default less.
	More bool
	// Floor is the difference below which two figures are the same, whatever their ratio.
	Floor float64
}

// Judged are the figures in which no baseline may be better.
func Judged() []Metric {
	return []Metric{
		{Name: "first picture", Of: func(o Outcome) float64 { return o.First }, Floor: 0.005},
		{Name: "stall time", Of: func(o Outcome) float64 { return o.StallTime }, Floor: 0.05},
		{Name: "chunk p95", Of: func(o Outcome) float64 { return o.ChunkP95 }, Floor: 0.005},
		{Name: "lateness p95", Of: func(o Outcome) float64 { return o.LateP95 }, Floor: 0.01},
		{Name: "goodput", Of: func(o Outcome) float64 { return o.Goodput }, More: true},
	}
}

// Interval is a mean with the bounds between which 95 % of resampled means lie.
type Interval struct{ Mean, Low, High float64 }

// resamples is how many means are drawn for an interval.
const resamples = 2000

// Bootstrap is the interval of the mean of values.
func Bootstrap(values []float64) Interval {
	if len(values) == 0 {
		return Interval{math.NaN(), math.NaN(), math.NaN()}
	}
	r := rand.New(rand.NewPCG(uint64(len(values)), 9)) // the same values give the same interval
	means := make([]float64, resamples)
	for i := range means {
		var sum float64
		for range values {
			sum += values[r.IntN(len(values))]
		}
		means[i] = sum / float64(len(values))
	}
	slices.Sort(means)
	var sum float64
	for _, v := range values {
		sum += v
	}
	return Interval{sum / float64(len(values)), means[resamples*25/1000], means[resamples*975/1000]}
}

// Worse is by how much ours is worse than a baseline's, as a part of it, in pairs: above 0
// the baseline is better. Pairs whose difference is below the metric's floor are even.
func Worse(m Metric, ours, base []Outcome) Interval {
	var parts []float64
	for i := range min(len(ours), len(base)) {
		a, b := m.Of(ours[i]), m.Of(base[i])
		if m.More {
			a, b = b, a
		}
		d := a - b
		if math.Abs(d) < m.Floor {
			d = 0
		}
		parts = append(parts, d/max(math.Abs(b), max(m.Floor, 1e-9)))
	}
	return Bootstrap(parts)
}

// quantile is the value below which the part q of values lies.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// of collects one figure of many outcomes.
func of(outs []Outcome, f func(Outcome) float64) (v []float64) {
	for _, o := range outs {
		v = append(v, f(o))
	}
	return v
}

// mean is the mean of every figure.
func mean(outs []Outcome) (m Outcome) {
	n := float64(max(len(outs), 1))
	avg := func(f func(Outcome) float64) float64 {
		var sum float64
		for _, o := range outs {
			sum += f(o)
		}
		return sum / n
	}
	return Outcome{
		First: avg(func(o Outcome) float64 { return o.First }), Stalls: avg(func(o Outcome) float64 { return o.Stalls }),
		StallTime: avg(func(o Outcome) float64 { return o.StallTime }), ChunkP50: avg(func(o Outcome) float64 { return o.ChunkP50 }),
		ChunkP95: avg(func(o Outcome) float64 { return o.ChunkP95 }), ChunkP99: avg(func(o Outcome) float64 { return o.ChunkP99 }),
		LateP95: avg(func(o Outcome) float64 { return o.LateP95 }), LateMax: avg(func(o Outcome) float64 { return o.LateMax }),
		Goodput: avg(func(o Outcome) float64 { return o.Goodput }), Extra: avg(func(o Outcome) float64 { return o.Extra }),
		Wire: avg(func(o Outcome) float64 { return o.Wire }), Requests: avg(func(o Outcome) float64 { return o.Requests }),
		SlowShare: avg(func(o Outcome) float64 { return o.SlowShare }), Gap: avg(func(o Outcome) float64 { return o.Gap }),
		Back: avg(func(o Outcome) float64 { return o.Back }), Deviation: avg(func(o Outcome) float64 { return o.Deviation }),
	}
}
