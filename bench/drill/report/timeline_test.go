package report

import (
	"math"
	"testing"
	"time"
)

// acksAt makes writes of 5 ms that are acknowledged at so many milliseconds after zero.
func acksAt(zero time.Time, ms ...int) []Write {
	var out []Write
	for _, m := range ms {
		at := zero.Add(time.Duration(m) * time.Millisecond)
		out = append(out, Write{at.Add(-5 * time.Millisecond), at})
	}
	return out
}

func TestLongestGap(t *testing.T) {
	zero := time.Now()
	for name, tc := range map[string]struct {
		acks []int
		want int // ms
	}{
		"counts from the fault, not from the last write before it": {[]int{-400, 500, 510, 1000}, 500},
		"finds a later silence":                  {[]int{-10, 100, 900, 1000}, 800},
		"counts the silence that healing ends":   {[]int{-10, 100, 200}, 800},
		"ignores what comes after healing":       {[]int{100, 950, 5000}, 850},
		"is the whole time when nothing came":    {[]int{-10}, 1000},
		"is the interval when nothing is missed": {[]int{0, 250, 500, 750, 1000}, 250},
	} {
		t.Run(name, func(t *testing.T) {
			if got := longestGap(acksAt(zero, tc.acks...), zero, zero.Add(time.Second)); got != time.Duration(tc.want)*time.Millisecond {
				t.Errorf("%v, want %d ms", got, tc.want)
			}
		})
	}
}

func TestFirstWriteIsOneThatBeganAfterTheFault(t *testing.T) {
	zero := time.Now()
	// The second was under way at the fault: the dead leader may have committed it.
	writes := []Write{{zero.Add(-20 * time.Millisecond), zero.Add(-10 * time.Millisecond)}, {zero.Add(-time.Millisecond), zero.Add(300 * time.Millisecond)}}
	if w, ok := FirstBegun(writes, zero); ok {
		t.Errorf("took %v", w)
	}
	writes = append(writes, Write{zero.Add(301 * time.Millisecond), zero.Add(310 * time.Millisecond)})
	if w, ok := FirstBegun(writes, zero); !ok || w != writes[2] {
		t.Errorf("took %v", w)
	}
}

func TestTimelineOfARepetition(t *testing.T) {
	zero := time.Now().Add(-2 * time.Second)
	tl := &Timeline{Fault: zero}
	tl.rep.Events = []Event{{0.001, EventFault, "killed"}, {0.4, EventLeader, "leads"}, {2, EventHealed, "healed"}}
	tl.Led(400 * time.Millisecond)
	tl.Led(900 * time.Millisecond) // only the first leader counts
	rep := tl.finish(acksAt(zero, -300, -20, 500, 520, 1990), zero.Add(2*time.Second))
	for name, tc := range map[string]struct {
		got  *float64
		want float64
	}{"leader gap": {rep.LeaderGap, 0.4}, "first write": {rep.FirstWrite, 0.5}, "write gap": {rep.WriteGap, 1.47}, "heal": {rep.Heal, 2}} {
		if tc.got == nil || math.Abs(*tc.got-tc.want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, tc.got, tc.want)
		}
	}
	if len(rep.Events) != 4 || rep.Events[2].Kind != EventWrite {
		t.Errorf("the first write is not between leader and healing: %+v", rep.Events)
	}
	if len(rep.Acks) != 51 || rep.Acks[4] != 1 || rep.Acks[9] != 1 || rep.Acks[20] != 2 {
		t.Errorf("slices %v", rep.Acks)
	}
}

func TestTimelineWithoutMetaLoad(t *testing.T) {
	zero := time.Now()
	rep := (&Timeline{Fault: zero}).finish(nil, zero.Add(time.Second))
	if rep.WriteGap != nil || rep.FirstWrite != nil || rep.Acks != nil || rep.Heal == nil {
		t.Errorf("%+v", rep)
	}
}

func TestFiguresAreTheLoads(t *testing.T) {
	y := newTally()
	for ms := 1; ms <= 1000; ms++ {
		y.observe(WriteGap, time.Duration(ms)*time.Millisecond)
	}
	y.observe(Heal, 2*time.Duration(histMax)*time.Microsecond) // longer than is told apart
	y.add(Writes, 3)
	ts, cs := y.figures([]Load{LoadMeta})
	near := func(got, want float64) bool { return math.Abs(got-want) < 0.002*want }
	if g := ts[0]; g.Name != WriteGap || g.Count != 1000 || !near(g.P50, 0.5) || !near(g.P99, 0.99) || !near(g.Max, 1) || !near(g.Min, 0.001) || !near(g.Mean, 0.5005) {
		t.Errorf("%+v", g)
	}
	if h := ts[3]; h.Name != Heal || h.Count != 1 || !near(h.Max, 600) {
		t.Errorf("%+v", h)
	}
	if cs[0] != (Counter{Writes, counters[0].doc, 3}) {
		t.Errorf("%+v", cs[0])
	}
	ts, cs = y.figures(nil)
	if len(ts) != 2 || len(cs) != 3 {
		t.Errorf("without loads: %+v %+v", ts, cs)
	}
}
