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
	rounds, err := Rounds(ctx, n, ours, base)
	out := make([]paired.Pair, len(rounds))
	for i, r := range rounds {
		out[i] = paired.Pair{Ours: r[0], Base: r[1]}
	}
	return out, err
}

// Rounds is Pairs for measures of several figures: each round's of ours, then of the baseline.
func Rounds[F any](ctx context.Context, n int, ours, base func(context.Context) (F, error)) ([][2]F, error) {
	if _, err := ours(ctx); err != nil {
		return nil, fmt.Errorf("warm up ours: %w", err)
	}
	if _, err := base(ctx); err != nil {
		return nil, fmt.Errorf("warm up baseline: %w", err)
	}
	out := make([][2]F, n)
	for i := range out {
		for k := range 2 {
			side, measure := (i+k)%2, ours
			if side == 1 {
				measure = base
			}
			var err error
			if out[i][side], err = measure(ctx); err != nil {
				return nil, fmt.Errorf("round %d: %w", i+1, err)
			}
		}
	}
	return out, nil
}
