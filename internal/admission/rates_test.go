package admission

import (
	"testing"
	"time"
)

func TestARateHoldsEachKeyForItself(t *testing.T) {
	var r Rates
	now := time.Unix(1_800_000_000, 0)
	allowed := func(key Key, perSecond float64, at time.Time) (n int) {
		for range 100 {
			if r.Allow(key, perSecond, at) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		key  Key
		rate float64
		at   time.Duration
		want int
	}{{"a", 5, 0, 5}, {"a", 5, 0, 0}, {"b", 0.5, 0, 1}, {"a", 5, time.Second, 5}, {"b", 0.5, time.Second, 0}, {"b", 0.5, 2 * time.Second, 1}, {"c", 0, 0, 100}, {"a", 7, 2 * time.Second, 7}} {
		if got := allowed(c.key, c.rate, now.Add(c.at)); got != c.want {
			t.Errorf("%s at %g a second after %s: %d, want %d", c.key, c.rate, c.at, got, c.want)
		}
	}
}

func TestWhoGuessesIsAskedAboutNoMore(t *testing.T) {
	var g Guesses
	now := time.Unix(1_800_000_000, 0)
	for i := range guessesPerSecond {
		if g.Spent("a", now) {
			t.Fatalf("spent after %d guesses", i)
		}
		g.Wrong("a", now)
	}
	if !g.Spent("a", now) || g.Spent("b", now) || g.Spent("a", now.Add(time.Second)) {
		t.Error("want the one who guessed refused, for a moment")
	}
}
