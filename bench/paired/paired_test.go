package paired

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantileInterpolates(t *testing.T) {
	vs := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4, 0.25: 1.75} {
		if got := Quantile(vs, q); got != want {
			t.Errorf("quantile %g = %g, want %g", q, got, want)
		}
	}
	if !math.IsNaN(Quantile(nil, 0.5)) {
		t.Error("quantile of nothing is a number")
	}
}

// TestAnIntervalHoldsTheTrueMean draws many samples of one distribution: the interval is to hold
// its mean in about 95 of 100, and to grow narrower as the sample grows.
func TestAnIntervalHoldsTheTrueMean(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(n int) (v []float64) {
		for range n {
			v = append(v, 3+r.NormFloat64())
		}
		return v
	}
	held := 0
	for range 400 {
		if i := Bootstrap(sample(30)); i.Low <= 3 && 3 <= i.High {
			held++
		}
	}
	if held < 360 || held > 396 {
		t.Errorf("the interval held the mean in %d of 400 samples, want about 380", held)
	}
	few, many := Bootstrap(sample(10)), Bootstrap(sample(1000))
	if many.High-many.Low > (few.High-few.Low)/3 {
		t.Errorf("interval of 1,000 values %v, of ten %v", many, few)
	}
	if none := Bootstrap(nil); !math.IsNaN(none.Mean) {
		t.Errorf("interval of nothing: %v", none)
	}
}
