package serve

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	latencySlots = 6                // of the window
	latencySlot  = 10 * time.Second // so that the window is about a minute
	latencyMax   = int64(time.Minute / time.Microsecond)
)

// Latency keeps the last minute of one duration, for the p99 that a heartbeat
// reports and that background work yields to.
type Latency struct {
	mu     sync.Mutex // guards all below; held for nanoseconds
	window *hdrhistogram.WindowedHistogram
	slot   time.Time // start of the current slot
}

// NewLatency makes an empty window.
func NewLatency() *Latency {
	return &Latency{window: hdrhistogram.NewWindowed(latencySlots, 1, latencyMax, 2)}
}

// Record adds one duration that ended at now.
func (l *Latency) Record(now time.Time, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotate(now)
	_ = l.window.Current.RecordValue(min(max(d.Microseconds(), 1), latencyMax)) // clamped, so it fits
}

// Quantile is the duration below which q (0 to 1) of the window lies; 0 when empty.
func (l *Latency) Quantile(now time.Time, q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotate(now)
	return time.Duration(l.window.Merge().ValueAtQuantile(100*q)) * time.Microsecond
}

func (l *Latency) rotate(now time.Time) {
	if l.slot.IsZero() {
		l.slot = now
	}
	for range latencySlots {
		if now.Sub(l.slot) < latencySlot {
			return
		}
		l.window.Rotate()
		l.slot = l.slot.Add(latencySlot)
	}
	l.slot = now // idle for longer than the window: all slots are fresh
}
