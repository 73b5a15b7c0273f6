package virtual

import (
	"math/rand/v2"
	"time"
)

// overhead is what a datagram carries besides its payload: the headers of IP and UDP.
const overhead = 28

// Step is a stretch of a link's life.
type Step struct {
	For  time.Duration
	Rate float64 // bits a second; 0 keeps packets waiting
	Down bool    // packets are dropped
}

// LinkConfig describes one direction of a host's link. The zero value is a link without a
// bound, without delay and without loss.
type LinkConfig struct {
	// Rate is in bits a second; 0 is without bound.
	Rate float64
	// Steps replace Rate, one after the other and then from the first again; Offset is
	// where in them the link begins.
	Steps  []Step
	Offset time.Duration
	// Once holds the last step for ever instead of repeating them.
	Once bool
	// Queue bounds the bytes that wait; default what Rate, or the first step that has a
	// rate, sends in 100 ms, at least 16 packets.
	Queue int
	// Delay is the time on the way, after the queue; Jitter is added to it, uniformly
	// between 0 and its value, without changing the order of packets.
	Delay, Jitter time.Duration
	// Loss is the probability that a packet is lost on the way.
	Loss float64
}

// link is one direction of a host's link. The Net's lock guards it.
type link struct {
	cfg     LinkConfig
	free    time.Duration // when the packet that was accepted last has left
	arrival time.Duration // of the packet that was accepted last
	waiting []departure   // in order
	bytes   int           // in waiting
	jitter  *rand.Rand

	stats LinkStats
}

type departure struct {
	at    time.Duration
	bytes int
}

// LinkStats counts what a link did.
type LinkStats struct {
	Packets, Bytes   int64 // passed on
	Queued, Lost     int64 // packets dropped for want of room; dropped on the way or while down
	PeakQueue        int   // bytes
	DroppedWhileDown int64
}

func newLink(cfg LinkConfig, jitter *rand.Rand) *link {
	if cfg.Queue == 0 {
		rate := cfg.Rate
		for i := 0; rate == 0 && i < len(cfg.Steps); i++ {
			rate = cfg.Steps[i].Rate
		}
		cfg.Queue = max(int(rate/8/10), 16*1280)
	}
	return &link{cfg: cfg, jitter: jitter}
}

// pass takes a packet of n bytes at now and returns when it arrives at the other end;
// false if it never does. draw is the next number of the packet's flow.
func (l *link) pass(now time.Duration, n int, draw func() float64) (time.Duration, bool) {
	if step, _ := l.step(now); step.Down {
		l.stats.Lost++
		l.stats.DroppedWhileDown++
		return 0, false
	}
	lost := l.cfg.Loss > 0 && draw() < l.cfg.Loss
	l.leave(now)
	if l.bounded() {
		if l.bytes+n > l.cfg.Queue && l.bytes > 0 {
			l.stats.Queued++
			return 0, false
		}
		l.free = l.sent(max(l.free, now), n)
		l.waiting = append(l.waiting, departure{l.free, n})
		l.bytes += n
		l.stats.PeakQueue = max(l.stats.PeakQueue, l.bytes)
	} else {
		l.free = now
	}
	if lost { // behind the queue: it took its time of the link
		l.stats.Lost++
		return 0, false
	}
	l.stats.Packets++
	l.stats.Bytes += int64(n)
	at := l.free + l.cfg.Delay
	if l.cfg.Jitter > 0 {
		at += time.Duration(l.jitter.Float64() * float64(l.cfg.Jitter))
	}
	l.arrival = max(l.arrival, at)
	return l.arrival, true
}

func (l *link) bounded() bool { return l.cfg.Rate > 0 || len(l.cfg.Steps) > 0 }

// leave forgets what has left by now.
func (l *link) leave(now time.Duration) {
	i := 0
	for i < len(l.waiting) && l.waiting[i].at <= now {
		l.bytes -= l.waiting[i].bytes
		i++
	}
	l.waiting = l.waiting[i:]
}

// sent is when n bytes have left that begin to at from.
func (l *link) sent(from time.Duration, n int) time.Duration {
	bits := float64(n) * 8
	for range 1 << 16 { // steps without a rate are bounded by the caller's patience
		step, left := l.step(from)
		if step.Rate > 0 {
			need := time.Duration(bits / step.Rate * float64(time.Second))
			if left == 0 || need <= left {
				return from + need
			}
			bits -= step.Rate * left.Seconds()
		} else if left == 0 {
			break // it waits for ever
		}
		from += left
	}
	return from + 24*time.Hour
}

// step is what holds at a time, and for how much longer; 0 is for ever.
func (l *link) step(at time.Duration) (Step, time.Duration) {
	if len(l.cfg.Steps) == 0 {
		return Step{Rate: l.cfg.Rate}, 0
	}
	var total time.Duration
	for _, s := range l.cfg.Steps {
		total += s.For
	}
	at += l.cfg.Offset
	last := l.cfg.Steps[len(l.cfg.Steps)-1]
	if l.cfg.Once && at >= total || total <= 0 {
		return last, 0
	}
	at %= total
	for i, s := range l.cfg.Steps {
		if at < s.For {
			if l.cfg.Once && i == len(l.cfg.Steps)-1 {
				return s, 0
			}
			return s, s.For - at
		}
		at -= s.For
	}
	return last, 0
}
