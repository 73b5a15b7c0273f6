package heat

import "github.com/vstack/vstack/internal/vstack"

const (
	// View is the heat of one view.
	View = 1000
	// Max bounds a video's heat: 10¹¹ views that have not decayed.
	Max = 100_000_000_000 * View
	// Steps is how many steps halve a heat.
	Steps = 8

	// keep is what a step leaves, of 1<<keepBits: 2^(-1/8), so that eight steps leave half.
	keep, keepBits = 60097, 16
)

// After is what is left of a heat so many steps later.
func After(heat int64, steps uint64) int64 {
	for ; steps > 0 && heat > 0; steps-- {
		heat = heat * keep >> keepBits
	}
	return heat
}

// Add is a heat after some views, at most Max.
func Add(heat, views int64) int64 {
	if views >= Max/View {
		return Max
	}
	return min(Max, heat+views*View)
}

// Step is the length of a step, in seconds, under a policy.
func Step(p vstack.RedundancyPolicy) int64 { return max(1, p.HalfLife/Steps) }
