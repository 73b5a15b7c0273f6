package shape

import (
	"fmt"
	"math"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Forever is later than any time.
const Forever = time.Duration(math.MaxInt64)

const (
	// queueTime is the default queue, as time at the rate.
	queueTime = 100 * time.Millisecond
	// minQueue is the least default queue: ten packets of an Ethernet.
	minQueue = 15_000
	// heldQueue is the default queue of a link that holds and has no rate.
	heldQueue = 1 << 20
	// DefaultHoldBack is how long a reordered packet waits beyond the others.
	DefaultHoldBack = 10 * time.Millisecond
)

// Shape is what a direction does to packets at one time. The zero Shape does nothing.
type Shape struct {
	Delay    time.Duration `json:"delay,omitzero"`     // of every packet, one way
	Jitter   time.Duration `json:"jitter,omitzero"`    // the delay wanders within Delay ± Jitter
	Loss     float64       `json:"loss,omitzero"`      // share of packets that vanish
	Rate     float64       `json:"rate,omitzero"`      // bits a second; 0: no limit
	Queue    int           `json:"queue,omitzero"`     // bytes that wait for the rate; 0: 100 ms at the rate
	Reorder  float64       `json:"reorder,omitzero"`   // share of packets that others overtake
	HoldBack time.Duration `json:"hold_back,omitzero"` // by how much; 0: DefaultHoldBack
	Down     bool          `json:"down,omitzero"`      // everything that arrives vanishes
	Hold     bool          `json:"hold,omitzero"`      // nothing leaves the queue
}

// Validate refuses what means nothing.
func (s Shape) Validate() error {
	switch {
	case s.Delay < 0 || s.Jitter < 0 || s.HoldBack < 0:
		return fmt.Errorf("link: %w: delay %v, jitter %v, held back %v: want none below 0", vstack.ErrInvalid, s.Delay, s.Jitter, s.HoldBack)
	case s.Jitter > s.Delay:
		return fmt.Errorf("link: %w: jitter %v of a delay of %v: no packet arrives before it is sent", vstack.ErrInvalid, s.Jitter, s.Delay)
	case !(s.Loss >= 0 && s.Loss <= 1) || !(s.Reorder >= 0 && s.Reorder <= 1):
		return fmt.Errorf("link: %w: loss %v, reorder %v: want a share from 0 to 1", vstack.ErrInvalid, s.Loss, s.Reorder)
	case !(s.Rate >= 0) || math.IsInf(s.Rate, 0):
		return fmt.Errorf("link: %w: rate %v bit/s", vstack.ErrInvalid, s.Rate)
	case s.Queue < 0:
		return fmt.Errorf("link: %w: queue of %d bytes", vstack.ErrInvalid, s.Queue)
	}
	return nil
}

// room is the queue in bytes.
func (s Shape) room() int {
	switch {
	case s.Queue > 0:
		return s.Queue
	case s.Rate == 0:
		return heldQueue
	}
	return max(minQueue, int(s.Rate/8*queueTime.Seconds()))
}

// Phase is a shape for a time.
type Phase struct {
	For   time.Duration `json:"for,omitzero"` // of the last one: Forever, unless the plan loops
	Shape Shape         `json:"shape"`
}

// Plan is what a direction does over time.
type Plan struct {
	Phases []Phase `json:"phases"`
	Loop   bool    `json:"loop,omitzero"` // after the last phase comes the first; else the last one stays
}

// Always is one shape for ever.
func Always(s Shape) Plan { return Plan{Phases: []Phase{{Shape: s}}} }

// Validate refuses plans that no packet could follow.
func (p Plan) Validate() error {
	if len(p.Phases) == 0 {
		return fmt.Errorf("link: %w: a plan without phases", vstack.ErrInvalid)
	}
	for i, ph := range p.Phases {
		if err := ph.Shape.Validate(); err != nil {
			return err
		}
		if ph.For <= 0 && (p.Loop || i < len(p.Phases)-1) {
			return fmt.Errorf("link: %w: phase %d lasts %v", vstack.ErrInvalid, i+1, ph.For)
		}
	}
	return nil
}

// Each returns the plan with every shape changed by f.
func (p Plan) Each(f func(*Shape)) Plan {
	out := Plan{Loop: p.Loop, Phases: append([]Phase(nil), p.Phases...)}
	for i := range out.Phases {
		f(&out.Phases[i].Shape)
	}
	return out
}

// Lossy reports whether some packets may vanish by chance, or be reordered.
func (p Plan) Lossy() bool {
	for _, ph := range p.Phases {
		if ph.Shape.Loss > 0 || ph.Shape.Reorder > 0 {
			return true
		}
	}
	return false
}

// Idle reports whether the plan never does anything.
func (p Plan) Idle() bool {
	for _, ph := range p.Phases {
		s := ph.Shape
		s.Queue, s.HoldBack = 0, 0
		if s != (Shape{}) {
			return false
		}
	}
	return true
}

// MeanRate is the rate over the whole plan, in bits a second; 0: no limit at some time.
// A plan that does not loop is all its last phase.
func (p Plan) MeanRate() float64 {
	if !p.Loop {
		return p.Phases[len(p.Phases)-1].Shape.Rate
	}
	var bits, total float64
	for _, ph := range p.Phases {
		total += ph.For.Seconds()
		if ph.Shape.Hold {
			continue
		}
		if ph.Shape.Rate == 0 {
			return 0
		}
		bits += ph.Shape.Rate * ph.For.Seconds()
	}
	return bits / total
}

// period is the length of all phases of a plan that loops.
func (p Plan) period() time.Duration {
	var d time.Duration
	for _, ph := range p.Phases {
		d += ph.For
	}
	return d
}
