package paired

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Pair is one round of ours beside one round of the baseline, in one unit.
type Pair struct {
	Ours float64 `json:"ours"`
	Base float64 `json:"base"`
}

// Quantile is the q-quantile of values, by linear interpolation; NaN of none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	pos := q * float64(len(s)-1)
	lo := int(pos)
	hi := min(lo+1, len(s)-1)
	return s[lo] + (s[hi]-s[lo])*(pos-float64(lo))
}

// Column collects one figure of every pair.
func Column(ps []Pair, f func(Pair) float64) []float64 {
	out := make([]float64, len(ps))
	for i, p := range ps {
		out[i] = f(p)
	}
	return out
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
