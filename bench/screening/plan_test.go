package screening

import (
	"testing"
	"time"

	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/virtual"
)

// TestARealLinkFollowsTheVirtualOne has both kinds of link say what they do at each half second.
func TestARealLinkFollowsTheVirtualOne(t *testing.T) {
	for name, c := range map[string]virtual.LinkConfig{
		"steady": {Rate: 5e6, Delay: 10 * time.Millisecond, Loss: 0.01, Queue: 60_000},
		"turned": {Rate: 1, Steps: []virtual.Step{{For: 7 * time.Second, Rate: 20e6}, {For: 7 * time.Second, Rate: 4e5}}, Offset: 9 * time.Second},
		"gone":   {Steps: []virtual.Step{{For: 10 * time.Second, Rate: 3e7}, {For: 15 * time.Second, Down: true}, {For: time.Hour, Rate: 3e7}}},
		"stops":  {Steps: []virtual.Step{{For: time.Second, Rate: 1e6}, {For: 2 * time.Second}}, Once: true},
	} {
		p := PlanOf(c)
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for at := 250 * time.Millisecond; at < 40*time.Second; at += 500 * time.Millisecond {
			want, got := stepAt(c, at), shapeAt(p, at)
			if got.Rate != want.Rate || got.Down != want.Down || got.Hold != (want.Rate == 0 && !want.Down) {
				t.Errorf("%s after %v: %+v, the virtual link has %+v", name, at, got, want)
				break
			}
			if got.Delay != c.Delay || got.Loss != c.Loss || got.Queue != c.Queue {
				t.Errorf("%s: %+v of %+v", name, got, c)
				break
			}
		}
	}
}

// stepAt is what a virtual link does at a time, by its documentation.
func stepAt(c virtual.LinkConfig, at time.Duration) virtual.Step {
	if len(c.Steps) == 0 {
		return virtual.Step{Rate: c.Rate}
	}
	at += c.Offset
	for {
		for i, s := range c.Steps {
			if at < s.For || c.Once && i == len(c.Steps)-1 {
				return s
			}
			at -= s.For
		}
	}
}

// shapeAt is what a plan says at a time.
func shapeAt(p shape.Plan, at time.Duration) shape.Shape {
	for {
		for i, ph := range p.Phases {
			if at < ph.For || !p.Loop && i == len(p.Phases)-1 {
				return ph.Shape
			}
			at -= ph.For
		}
	}
}

func TestLinksThatCannotBeMadeAreRefused(t *testing.T) {
	for name, want := range map[string]bool{"slow": true, "disk": false, "clients": false, "no such": false, "ghent": false} {
		if _, _, err := (Options{Links: []string{name}}).Named(); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestASeedDrawsTheSameLinks is what pairs, and the contest in virtual time, stand on.
func TestASeedDrawsTheSameLinks(t *testing.T) {
	for _, s := range scenario.All() {
		if s.Traces != "" {
			continue
		}
		a, b := s.Draw(scenario.Rand(3), nil), s.Draw(scenario.Rand(3), nil)
		for i := range a.Hosts {
			if a.Hosts[i].Up.Rate != b.Hosts[i].Up.Rate || len(a.Hosts[i].Up.Steps) != len(b.Hosts[i].Up.Steps) {
				t.Errorf("%s: host %d differs", s.Name, i)
			}
		}
	}
}
