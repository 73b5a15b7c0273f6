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
	second := first.Add(-time.Hour) // whose clock was set back
	type said struct {
		started  time.Time
		seq      uint64
		complete uint64
	}
	for name, c := range map[string]struct {
		said []said
		want uint64
	}{
		"in order":                      {[]said{{first, 1, 5}, {first, 2, 7}}, 7},
		"a late one":                    {[]said{{first, 2, 7}, {first, 1, 9}}, 7},
		"the same one again":            {[]said{{first, 2, 7}, {first, 2, 9}}, 7},
		"the next process":              {[]said{{first, 8, 7}, {second, 1, 3}}, 3},
		"a late one of the last":        {[]said{{first, 8, 7}, {second, 1, 3}, {first, 9, 9}}, 3},
		"two that cross with a start":   {[]said{{first, 8, 7}, {second, 1, 3}, {first, 9, 9}, {second, 2, 4}}, 4},
		"a process that does not count": {[]said{{first, 0, 7}, {first, 0, 9}}, 9},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(Config{Tick: time.Second})
			for _, s := range c.said {
				m.Record(1, wire.Heartbeat{Host: "h1", Seq: s.seq, Stores: []wire.StoreReport{{ID: id, Started: s.started,
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
