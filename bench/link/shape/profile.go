package shape

import (
	"fmt"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Profile is a plan with a name.
type Profile struct {
	Name string
	Doc  string
	Plan Plan // of either direction
}

// normal is the link that the other profiles make worse.
var normal = Shape{Delay: 10 * time.Millisecond, Rate: 100e6}

// Profiles lists them.
func Profiles() []Profile {
	with := func(change func(*Shape)) Shape {
		s := normal
		change(&s)
		return s
	}
	down := with(func(s *Shape) { s.Down = true })
	return []Profile{
		{"normal", "100 Mbit/s, 10 ms each way", Always(normal)},
		{"latency", "100 ms each way, ± 20 ms", Always(with(func(s *Shape) { s.Delay, s.Jitter = 100*time.Millisecond, 20*time.Millisecond }))},
		{"low-bandwidth", "2 Mbit/s", Always(with(func(s *Shape) { s.Rate = 2e6 }))},
		{"loss", "2 of 100 packets vanish", Always(with(func(s *Shape) { s.Loss = 0.02 }))},
		{"flapping", "20 and 0.4 Mbit/s, 7 s each, in turn", Plan{Loop: true, Phases: []Phase{
			{For: 7 * time.Second, Shape: with(func(s *Shape) { s.Rate = 20e6 })},
			{For: 7 * time.Second, Shape: with(func(s *Shape) { s.Rate = 0.4e6 })},
		}}},
		{"node-failure", "after 10 s nothing arrives any more", Plan{Phases: []Phase{{For: 10 * time.Second, Shape: normal}, {Shape: down}}}},
		{"recovery", "from 10 s to 25 s nothing arrives, then all is well again", Plan{Phases: []Phase{
			{For: 10 * time.Second, Shape: normal}, {For: 15 * time.Second, Shape: down}, {Shape: normal},
		}}},
	}
}

// FindProfile returns a profile by its name.
func FindProfile(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("link profile %q: %w: there are %s", name, vstack.ErrNotFound, strings.Join(names, ", "))
}
