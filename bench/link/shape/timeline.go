package shape

import (
	"math"
	"sort"
	"time"
)

// timeline answers what a plan says at any time, and integrates its rate.
type timeline struct {
	plan  Plan
	since time.Duration   // when the plan began
	ends  []time.Duration // of the phases, from since; the last of a plan without loop is Forever
}

func newTimeline(p Plan, since time.Duration) timeline {
	t := timeline{plan: p, since: since, ends: make([]time.Duration, len(p.Phases))}
	var end time.Duration
	for i, ph := range p.Phases {
		end += ph.For
		t.ends[i] = end
	}
	if !p.Loop {
		t.ends[len(t.ends)-1] = Forever
	}
	return t
}

// at returns the shape at a time, not before since, and when the next phase begins.
func (t timeline) at(now time.Duration) (*Shape, time.Duration) {
	into, base := now-t.since, t.since
	if t.plan.Loop {
		period := t.ends[len(t.ends)-1]
		base += into / period * period
		into %= period
	}
	i := sort.Search(len(t.ends), func(i int) bool { return into < t.ends[i] })
	if t.ends[i] == Forever {
		return &t.plan.Phases[i].Shape, Forever
	}
	return &t.plan.Phases[i].Shape, base + t.ends[i]
}

// finish is when so many bits, of which the first leaves at start, have left.
func (t timeline) finish(start time.Duration, bits float64) time.Duration {
	idle := 0 // phases in a row in which nothing left
	for now := start; ; {
		s, until := t.at(now)
		if !s.Hold {
			if s.Rate == 0 {
				return now
			}
			// Rounded, not cut: at 500 Mbit/s a packet takes 20,000 ns.
			if need := math.Round(bits / s.Rate * 1e9); need <= float64(until-now) {
				return now + time.Duration(need)
			}
			bits -= s.Rate * (until - now).Seconds()
			idle = 0
		} else if idle++; idle > len(t.plan.Phases) {
			return Forever
		}
		if until == Forever {
			return Forever
		}
		now = until
	}
}

// carried are the bits that could leave from one time to another; +Inf without a limit.
func (t timeline) carried(from, to time.Duration) float64 {
	var bits float64
	for now := from; now < to; {
		s, until := t.at(now)
		until = min(until, to)
		if !s.Hold {
			if s.Rate == 0 {
				return math.Inf(1)
			}
			bits += s.Rate * (until - now).Seconds()
		}
		now = until
	}
	return bits
}
