package viewing

import (
	"math"

	"github.com/vstack/vstack/bench/paired"
)

// Metric is one figure of an Outcome.
type Metric struct {
	Name string
	Unit string
	Of   func(Outcome) float64
	// More is better; default less.
	More bool
	// Floor is the difference below which two figures are the same, whatever their ratio.
	Floor float64
}

// Judged are the figures in which no baseline may be better.
func Judged() []Metric {
	return []Metric{
		{Name: "first picture", Unit: "s", Of: func(o Outcome) float64 { return o.First }, Floor: 0.005},
		{Name: "stall time", Unit: "s", Of: func(o Outcome) float64 { return o.StallTime }, Floor: 0.05},
		{Name: "chunk p95", Unit: "s", Of: func(o Outcome) float64 { return o.ChunkP95 }, Floor: 0.005},
		{Name: "lateness p95", Unit: "s", Of: func(o Outcome) float64 { return o.LateP95 }, Floor: 0.01},
		{Name: "goodput", Unit: "Mbit/s", Of: func(o Outcome) float64 { return o.Goodput / 1e6 }, More: true},
	}
}

// Worse is by how much ours is worse than a baseline's, as a part of it, in pairs: above 0
// the baseline is better. Pairs whose difference is below the metric's floor are even.
func Worse(m Metric, ours, base []Outcome) paired.Interval {
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
	return paired.Bootstrap(parts)
}

// Of collects one figure of many outcomes.
func Of(outs []Outcome, f func(Outcome) float64) (v []float64) {
	for _, o := range outs {
		v = append(v, f(o))
	}
	return v
}

// Mean is the mean of every figure.
func Mean(outs []Outcome) (m Outcome) {
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
