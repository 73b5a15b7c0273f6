package link

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

// MaxLate is the 95th percentile of a link's own lateness from which on its figures say
// more about the machine than about the link.
const MaxLate = 2 * time.Millisecond

// ErrLate is a link that did not keep its own times; another time it may.
var ErrLate error = late{}

type late struct{}

func (late) Error() string { return "the link itself was late" }

func (late) Unwrap() error { return vstack.ErrUnavailable }

// Counts is what one direction did. Sizes are of whole IP packets.
type Counts struct {
	Packets int64 `json:"packets"` // that passed
	Bytes   int64 `json:"bytes"`
	Lost    int64 `json:"lost"`    // by chance, or because the link was down
	Dropped int64 `json:"dropped"` // by a full queue
	// Overtaken packets passed, later than those behind them.
	Overtaken int64 `json:"overtaken"`
	Overrun   int64 `json:"overrun"` // by the kernel, because the link did not read in time
	// Seconds behind the time at which a packet was due.
	LateP50 float64 `json:"late_p50"`
	LateP95 float64 `json:"late_p95"`
	LateMax float64 `json:"late_max"`
}

// Err refuses the figures of a direction that was late itself.
func (c Counts) Err() error {
	switch {
	case c.LateP95 > MaxLate.Seconds():
		return fmt.Errorf("%w: 1 packet of 20 by %.1f ms or more, of %d; %v are the bound: the machine is too busy", ErrLate, c.LateP95*1e3, c.Packets, MaxLate)
	case c.Overrun > 0:
		return fmt.Errorf("%w: %d packets were dropped before it read them", ErrLate, c.Overrun)
	}
	return nil
}

// tally counts while a way runs.
type tally struct {
	counts Counts
	late   *hdrhistogram.Histogram // µs
}

func newTally() tally { return tally{late: hdrhistogram.New(1, 60e6, 3)} }

func (t *tally) fate(f shape.Fate) {
	switch f {
	case shape.Lost:
		t.counts.Lost++
	case shape.Dropped:
		t.counts.Dropped++
	case shape.Overtaken:
		t.counts.Overtaken++
	}
}

func (t *tally) sent(size int, late time.Duration) {
	t.counts.Packets++
	t.counts.Bytes += int64(size)
	// Above the histogram's end it is the end; the error says nothing more.
	_ = t.late.RecordValue(min(max(0, late.Microseconds()), t.late.HighestTrackableValue()))
}

func (t *tally) read() Counts {
	c := t.counts
	us := func(v int64) float64 { return float64(v) / 1e6 }
	if c.Packets > 0 {
		c.LateP50, c.LateP95, c.LateMax = us(t.late.ValueAtQuantile(50)), us(t.late.ValueAtQuantile(95)), us(t.late.Max())
	}
	return c
}
