package heat

import (
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestEightStepsHalve(t *testing.T) {
	for _, views := range []int64{1, 3, 1000, 2_000_000, Max / View} {
		h := Add(0, views)
		half := After(h, Steps)
		if d := half*2 - h; max(d, -d) > h/10_000+Steps*2 {
			t.Errorf("of %d views' heat %d, %d is left after a half-life", views, h, half)
		}
		if all := After(After(h, 3), 14); all != After(h, 17) {
			t.Errorf("3 steps and then 14 leave %d, 17 at once %d", all, After(h, 17))
		}
	}
	if got := After(Max, 1<<62); got != 0 {
		t.Errorf("%d is left for ever", got)
	}
}

func TestHeatIsBounded(t *testing.T) {
	if got := Add(Max-5, 1); got != Max {
		t.Errorf("heat %d", got)
	}
	if got := Add(Max, 1<<62); got != Max {
		t.Errorf("heat %d", got)
	}
	if got := Add(0, 2); got != 2*View {
		t.Errorf("heat %d", got)
	}
}

func TestAStepIsAnEighthOfTheHalfLife(t *testing.T) {
	for half, want := range map[int64]int64{vstack.MinHalfLife: 1, 7 * 24 * 3600: 75600, 12: 1} {
		if got := Step(vstack.RedundancyPolicy{HalfLife: half}); got != want {
			t.Errorf("half-life %d s: steps of %d s, want %d", half, got, want)
		}
	}
}
