package pages

import "math"

// Figure is one figure of a comparison over its finished pairs.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Smart float64 `json:"smart"` // mean
	Naive float64 `json:"naive"`
	// Difference is naive − smart, the mean of the pairs, with its 95 % interval by
	// Student's t; Low and High are equal to it for a single pair.
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Pairs      int     `json:"pairs"`
}

// measures are what the figures are of; less is better in each.
var measures = []struct {
	name, unit string
	of         func(*CompareRun) float64
}{
	{"first picture", "s", func(r *CompareRun) float64 { return r.Startup }},
	{"stalled", "s", func(r *CompareRun) float64 { return r.StallTime }},
	{"stalls", "", func(r *CompareRun) float64 { return float64(r.Stalls) }},
	{"a chunk, median", "s", func(r *CompareRun) float64 { return r.P50 }},
	{"a chunk, 95 of 100", "s", func(r *CompareRun) float64 { return r.P95 }},
}

// students are the 97.5 % points of Student's t for 1, 2 … degrees of freedom.
var students = []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093}

// figures computes all of them from the pairs that have both plays.
func figures(pairs []ComparePair) []Figure {
	out := []Figure{}
	for _, m := range measures {
		f := Figure{Name: m.name, Unit: m.unit}
		var diffs []float64
		for _, p := range pairs {
			if p.Smart == nil || p.Naive == nil || p.Smart.Late != "" || p.Naive.Late != "" {
				continue
			}
			s, n := m.of(p.Smart), m.of(p.Naive)
			f.Smart, f.Naive = f.Smart+s, f.Naive+n
			diffs = append(diffs, n-s)
		}
		f.Pairs = len(diffs)
		if f.Pairs == 0 {
			return out
		}
		n := float64(f.Pairs)
		f.Smart, f.Naive = f.Smart/n, f.Naive/n
		f.Difference, f.Low, f.High = interval(diffs)
		out = append(out, f)
	}
	return out
}

// interval is the mean of some values, and its 95 % interval.
func interval(v []float64) (mean, low, high float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	if len(v) < 2 {
		return mean, mean, mean
	}
	sum := 0.0
	for _, x := range v {
		sum += (x - mean) * (x - mean)
	}
	n := float64(len(v))
	half := students[min(len(v)-2, len(students)-1)] * math.Sqrt(sum/(n-1)/n)
	return mean, mean - half, mean + half
}
