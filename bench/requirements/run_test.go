package requirements

import (
	"math"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestDeviation(t *testing.T) {
	of := func(loads ...float64) map[vstack.StoreID]float64 {
		m := map[vstack.StoreID]float64{}
		for i, v := range loads {
			m[vstack.StoreID{byte(i)}] = v
		}
		return m
	}
	for name, tc := range map[string]struct {
		loads []float64
		want  float64
	}{
		"even":              {[]float64{5, 5, 5, 5}, 0},
		"one serves it all": {[]float64{4, 0, 0, 0}, math.Sqrt(3)},
		"a tenth off":       {[]float64{9, 11}, 0.1},
	} {
		if got := deviation(of(tc.loads...)); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
