package disk

import (
	"math"
	"testing"
	"time"
)

func TestPaceOfADisk(t *testing.T) {
	type write struct{ at, took float64 } // seconds
	every := func(n int, apart, took float64) (out []write) {
		for i := range n {
			out = append(out, write{float64(i) * apart, took})
		}
		return out
	}
	for name, tc := range map[string]struct {
		writes []write
		under  float64 // a write that began then and has not ended; 0 for none
		now    float64
		want   Pace
	}{
		"nothing was written":            {nil, 0, 5, Pace{}},
		"a good disk":                    {every(1000, 0.01, 0.004), 0, 9.9, Pace{0, 0, 1000}},
		"one hiccup":                     {append(every(100, 0.01, 0.004), write{2, 0.5}), 0, 3, Pace{0.05, 1, 101}},
		"slow from beginning to end":     {every(20, 0.5, 0.4), 0, 9.95, Pace{0.8, 20, 20}},
		"what was long ago is forgotten": {every(20, 0.5, 0.4), 0, 30, Pace{}},
		"half of it is":                  {every(20, 0.5, 0.4), 0, 14.95, Pace{0.4, 10, 10}},
		"a write that takes its time":    {nil, 2, 4, Pace{0.2, 1, 1}},
		"a write that has just begun":    {nil, 2, 2.05, Pace{}},
		"never more than all the time":   {every(20, 0.5, 0.49), 9.99, 25, Pace{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			// A whole second, so that slices lie as the table says.
			base := time.Unix(1_700_000_000, 0)
			at := func(s float64) time.Time { return base.Add(time.Duration(math.Round(s*1e6)) * time.Microsecond) }
			var p pace
			for _, w := range tc.writes {
				p.begin(at(w.at))
				p.end(at(w.at + w.took))
			}
			if tc.under > 0 {
				p.begin(at(tc.under))
			}
			if got := p.read(at(tc.now)); math.Abs(got.Slow-tc.want.Slow) > 0.001 || got.Stalls != tc.want.Stalls || got.Writes != tc.want.Writes {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}
