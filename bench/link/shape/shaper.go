package shape

import (
	"math/rand/v2"
	"time"
)

// Fate is what became of a packet that was pushed.
type Fate int

const (
	// Taken packets come out of Pop.
	Taken Fate = iota
	// Overtaken packets come out later than those behind them.
	Overtaken
	// Lost packets vanished by chance, or the link was down.
	Lost
	// Dropped packets found the queue full.
	Dropped
)

// Due is a packet that has passed the link.
type Due[P any] struct {
	At     time.Duration // when it leaves the link
	Packet P
}

// Shaper is one direction of a link. Times are of one clock that starts anywhere; they
// may repeat and an earlier one counts as the latest seen. It is not safe for concurrent
// use.
type Shaper[P any] struct {
	seed  uint64
	now   time.Duration // the latest time seen
	line  timeline
	queue ring[waiting[P]]
	bytes int           // in the queue, the head's whole size included
	leave time.Duration // when the head of the queue has left it
	began time.Duration // since when the head is leaving
	left  float64       // bits of the head that had to leave then
	wire  flight[P]
	last  time.Duration // of the latest packet that keeps its order
}

// waiting is a packet in the queue.
type waiting[P any] struct {
	size   int
	holdBy time.Duration
	packet P
}

// New makes a link that follows the plan from now on. The seed is of its jitter; loss and
// reordering are drawn from what Push is given.
func New[P any](p Plan, seed uint64, now time.Duration) *Shaper[P] {
	return &Shaper[P]{seed: seed, now: now, line: newTimeline(p, now), last: now}
}

// SetPlan follows another plan from now on. What has left the queue arrives as it would
// have; what waits there leaves as the new plan says.
func (s *Shaper[P]) SetPlan(now time.Duration, p Plan) {
	s.advance(now)
	if s.queue.len() > 0 {
		s.left -= min(s.left, s.line.carried(s.began, s.now))
		s.began = s.now
	}
	s.line = newTimeline(p, s.now)
	if s.queue.len() > 0 {
		s.leave = s.line.finish(s.began, s.left)
	}
	s.advance(now)
}

// Push sends a packet of size bytes. What chance does to it is drawn from dice; nil is a
// packet that is neither lost nor reordered, and for which Fits was asked.
func (s *Shaper[P]) Push(now time.Duration, size int, dice *rand.Rand, p P) Fate {
	s.advance(now)
	sh, _ := s.line.at(s.now)
	w := waiting[P]{size: size, packet: p}
	if dice != nil {
		if sh.Down || sh.Loss > 0 && dice.Float64() < sh.Loss {
			return Lost
		}
		if sh.Reorder > 0 && dice.Float64() < sh.Reorder {
			w.holdBy = sh.HoldBack
			if w.holdBy == 0 {
				w.holdBy = DefaultHoldBack
			}
		}
	}
	// A packet that finds the queue empty is on its way, however small the queue is.
	if s.queue.len() > 0 && s.bytes+size > sh.room() {
		return Dropped
	}
	s.queue.push(w)
	s.bytes += size
	if s.queue.len() == 1 {
		s.start(s.now)
	}
	s.advance(s.now)
	if w.holdBy > 0 {
		return Overtaken
	}
	return Taken
}

// Fits reports whether a packet that must not vanish may be pushed now. If not, that
// may change at the time returned, or when the plan is changed.
func (s *Shaper[P]) Fits(now time.Duration, size int) (bool, time.Duration) {
	s.advance(now)
	sh, until := s.line.at(s.now)
	if sh.Down {
		return false, until
	}
	if s.queue.len() > 0 && s.bytes+size > sh.room() {
		return false, min(s.leave, until)
	}
	return true, s.now
}

// Pop appends the packets that are due, in order of their times.
func (s *Shaper[P]) Pop(now time.Duration, to []Due[P]) []Due[P] {
	s.advance(now)
	for s.wire.len() > 0 && s.wire.first().At <= s.now {
		to = append(to, s.wire.pop())
	}
	return to
}

// Next is when Pop has something, if nothing else happens.
func (s *Shaper[P]) Next() time.Duration {
	next := Forever
	if s.wire.len() > 0 {
		next = s.wire.first().At
	}
	if s.queue.len() > 0 && s.leave < next {
		next = min(next, s.arrival(s.leave))
	}
	return next
}

// Queued are the bytes that wait for the rate, and the packets under way in all.
func (s *Shaper[P]) Queued(now time.Duration) (bytes, packets int) {
	s.advance(now)
	return s.bytes, s.queue.len() + s.wire.len()
}

// advance moves what has left the queue until now onto the wire.
func (s *Shaper[P]) advance(now time.Duration) {
	s.now = max(s.now, now)
	for s.queue.len() > 0 && s.leave <= s.now {
		w, left := s.queue.pop(), s.leave
		s.bytes -= w.size
		s.launch(left, w)
		if s.queue.len() > 0 {
			s.start(left)
		}
	}
}

// start has the head of the queue begin to leave.
func (s *Shaper[P]) start(at time.Duration) {
	s.began, s.left = at, float64(s.queue.first().size)*8
	s.leave = s.line.finish(at, s.left)
}

// launch puts a packet onto the wire.
func (s *Shaper[P]) launch(left time.Duration, w waiting[P]) {
	at := s.arrival(left)
	if w.holdBy == 0 {
		s.last = at
	}
	s.wire.push(Due[P]{At: at + w.holdBy, Packet: w.packet}, w.holdBy > 0)
}

// arrival is when a packet that leaves the queue at a time has passed the wire, in order.
func (s *Shaper[P]) arrival(left time.Duration) time.Duration {
	sh, _ := s.line.at(left)
	return max(left+sh.Delay+wander(s.seed, left, sh.Jitter), s.last)
}

// Now is the latest time seen.
func (s *Shaper[P]) Now() time.Duration { return s.now }
