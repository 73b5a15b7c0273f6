package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Pair is one round of ours beside one round of the baseline, in the row's unit.
type Pair struct {
	Ours float64 `json:"ours"`
	Base float64 `json:"base"`
}

// measure is one round: it does a bounded piece of work and returns a figure.
type measure func(context.Context) (float64, error)

// pairs runs n rounds of both measures, turning the order each round so that a
// drift of the machine's speed falls on both alike. One unrecorded round of each
// warms caches and connections.
func pairs(ctx context.Context, n int, ours, base measure) ([]Pair, error) {
	for name, m := range map[string]measure{"ours": ours, "baseline": base} {
		if _, err := m(ctx); err != nil {
			return nil, fmt.Errorf("warm up %s: %w", name, err)
		}
	}
	out := make([]Pair, n)
	for i := range out {
		first, second := ours, base
		if i%2 == 1 {
			first, second = base, ours
		}
		a, err := first(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		b, err := second(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		if i%2 == 1 {
			a, b = b, a
		}
		out[i] = Pair{Ours: a, Base: b}
	}
	return out, nil
}

// quantile returns the q-quantile of vs by linear interpolation; NaN when empty.
func quantile(vs []float64, q float64) float64 {
	if len(vs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(vs))
	pos := q * float64(len(s)-1)
	lo := int(pos)
	hi := min(lo+1, len(s)-1)
	return s[lo] + (s[hi]-s[lo])*(pos-float64(lo))
}

// column collects one figure of every pair.
func column(ps []Pair, f func(Pair) float64) []float64 {
	out := make([]float64, len(ps))
	for i, p := range ps {
		out[i] = f(p)
	}
	return out
}
