package shape

import (
	"testing"
	"time"
)

func TestWordsMakeAPlan(t *testing.T) {
	trace := written(t, `[{"duration_ms": 1000, "bandwidth_kbps": 10000, "latency_ms": 20}]`)
	for name, tc := range map[string]struct {
		words Words
		want  Shape // of the first phase
	}{
		"nothing":                     {Words{}, Shape{}},
		"values":                      {Words{Delay: 20 * time.Millisecond, Rate: "8Mbit", Queue: "50ms", Loss: "1%", Reorder: "0.5%"}, Shape{Delay: 20 * time.Millisecond, Rate: 8e6, Queue: 50_000, Loss: 0.01, Reorder: 0.005}},
		"a profile":                   {Words{Profile: "loss"}, Shape{Delay: 10 * time.Millisecond, Rate: 100e6, Loss: 0.02}},
		"values over a profile":       {Words{Profile: "loss", Rate: "1Mbit", Loss: "0"}, Shape{Delay: 10 * time.Millisecond, Rate: 1e6}},
		"a trace, scaled":             {Words{Trace: trace, Scale: 0.5, Queue: "200ms"}, Shape{Delay: 10 * time.Millisecond, Rate: 5e6, Queue: 125_000}},
		"a trace's delay is replaced": {Words{Trace: trace, Delay: time.Millisecond}, Shape{Delay: time.Millisecond, Rate: 10e6}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := tc.words.Plan()
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Phases[0].Shape; got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
	for name, w := range map[string]Words{
		"two sources":                 {Profile: "loss", Trace: trace},
		"a trace with a rate":         {Trace: trace, Rate: "1Mbit"},
		"a scale of nothing":          {Scale: 2},
		"a trace that is not there":   {Trace: "/none"},
		"jitter beyond the delay":     {Jitter: time.Second},
		"a queue in time, no rate":    {Queue: "100ms"},
		"a rate in nothing":           {Rate: "5"},
		"a profile that is not there": {Profile: "x"},
	} {
		if p, err := w.Plan(); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
