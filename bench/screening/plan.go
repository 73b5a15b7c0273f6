package screening

import (
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/virtual"
)

// PlanOf is a virtual link's plan for a real one.
func PlanOf(c virtual.LinkConfig) shape.Plan {
	base := shape.Shape{Delay: c.Delay, Jitter: c.Jitter, Loss: c.Loss, Rate: c.Rate, Queue: c.Queue}
	if len(c.Steps) == 0 {
		return shape.Always(base)
	}
	p := shape.Plan{Loop: !c.Once}
	for _, step := range c.Steps {
		ph := shape.Phase{For: step.For, Shape: base}
		ph.Shape.Rate, ph.Shape.Down, ph.Shape.Hold = step.Rate, step.Down, step.Rate == 0 && !step.Down
		p.Phases = append(p.Phases, ph)
	}
	if p.Loop {
		return p.From(c.Offset)
	}
	return p
}
