package admission

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates bounds how many requests a second somebody makes who has a bound of its own. The zero
// value is ready, and is safe for concurrent use.
type Rates struct {
	mu sync.Mutex
	of map[Key]*rate.Limiter
}

// maxRates is how many bounds are kept; beyond that all begin anew.
const maxRates = 1024

// Allow takes a turn of a second's, of which as many may come at once; perSecond 0 is no bound.
func (s *Rates) Allow(key Key, perSecond float64, now time.Time) bool {
	if perSecond == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.of[key]
	if l == nil || l.Limit() != rate.Limit(perSecond) {
		if s.of == nil || len(s.of) >= maxRates {
			s.of = map[Key]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
		s.of[key] = l
	}
	return l.AllowN(now, 1)
}

// guessesPerSecond is how often somebody may show a secret that is none.
const guessesPerSecond = 5

// Guesses bounds how often somebody shows secrets that are none, each of which costs a question to
// somebody else. The zero value is ready, and is safe for concurrent use.
type Guesses struct{ wrong Rates }

// Spent reports whether somebody has guessed as often as it may.
func (g *Guesses) Spent(key Key, now time.Time) bool {
	g.wrong.mu.Lock()
	defer g.wrong.mu.Unlock()
	l := g.wrong.of[key]
	return l != nil && l.TokensAt(now) < 1
}

// Wrong counts a guess.
func (g *Guesses) Wrong(key Key, now time.Time) { _ = g.wrong.Allow(key, guessesPerSecond, now) }
