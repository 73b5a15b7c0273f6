package rig

import (
	"context"
	"fmt"

	"github.com/vstack/vstack/bench/paired"
)

// Measure is one round: it does a bounded piece of work and returns a figure.
type Measure func(context.Context) (float64, error)

// Pairs runs n rounds of both measures, turning the order each round so that a
// drift of the machine's speed falls on both alike. One unrecorded round of each
// warms caches and connections.
func Pairs(ctx context.Context, n int, ours, base Measure) ([]paired.Pair, error) {
	for name, m := range map[string]Measure{"ours": ours, "baseline": base} {
		if _, err := m(ctx); err != nil {
			return nil, fmt.Errorf("warm up %s: %w", name, err)
		}
	}
	out := make([]paired.Pair, n)
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
		out[i] = paired.Pair{Ours: a, Base: b}
	}
	return out, nil
}
