package liveness

import (
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestClaimsAreThoseOfThePresentProcess: reports that cross on their way, of one process or
// of two, leave the last word to the one that was said last.
func TestClaimsAreThoseOfThePresentProcess(t *testing.T) {
	id := vstack.StoreID{1}
	first := time.Unix(5000, 0)
	second := first.Add(time.Nanosecond) // whose clock was set back
	old := first.Add(-time.Hour)         // likewise, of a program that goes by its clock
	type said struct {
		started  time.Time
		seq      uint64
		complete uint64
		level    vstack.Level
	}
	const now = vstack.LevelManifests
	for name, c := range map[string]struct {
		said []said
		want uint64
	}{
		"in order":                       {[]said{{first, 1, 5, now}, {first, 2, 7, now}}, 7},
		"a late one":                     {[]said{{first, 2, 7, now}, {first, 1, 9, now}}, 7},
		"the same one again":             {[]said{{first, 2, 7, now}, {first, 2, 9, now}}, 7},
		"the next process":               {[]said{{first, 8, 7, now}, {second, 1, 3, now}}, 3},
		"a late one of the last":         {[]said{{first, 8, 7, now}, {second, 1, 3, now}, {first, 9, 9, now}}, 3},
		"two that cross with a start":    {[]said{{first, 8, 7, now}, {second, 1, 3, now}, {first, 9, 9, now}, {second, 2, 4, now}}, 4},
		"a leader hears the next first":  {[]said{{second, 1, 3, now}, {first, 9, 9, now}, {second, 2, 4, now}}, 4},
		"a process that does not count":  {[]said{{first, 0, 7, now}, {first, 0, 9, now}}, 9},
		"the next, by its clock alone":   {[]said{{first, 8, 7, 0}, {old, 1, 3, 0}}, 3},
		"a late one, by clocks alone":    {[]said{{first, 8, 7, 0}, {old, 1, 3, 0}, {first, 9, 9, 0}}, 3},
		"an upgrade, the clock set back": {[]said{{first, 8, 7, 0}, {old, 1, 3, now}, {first, 9, 9, 0}, {old, 2, 4, now}}, 4},
		"a program rolled back":          {[]said{{first, 8, 7, now}, {old, 1, 3, 0}, {first, 9, 9, now}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(Config{Tick: time.Second})
			for _, s := range c.said {
				m.Record(1, wire.Heartbeat{Host: "h1", Seq: s.seq, Level: s.level, Stores: []wire.StoreReport{{ID: id, Started: s.started,
					Claims: []wire.GroupClaim{{PG: 3, Epoch: 1, Complete: s.complete, Surveyed: 10}, {PG: 60000}}}}}, first)
			}
			got := m.Claims()[id]
			if len(got) != 1 || got[3].Complete != c.want {
				t.Errorf("claims %+v, want %d", got, c.want)
			}
			m.Record(2, wire.Heartbeat{Host: "h2"}, first)
			if len(m.Claims()) != 0 {
				t.Error("a leader believes what the one before it heard")
			}
		})
	}
}
