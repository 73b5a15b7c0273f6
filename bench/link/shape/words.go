package shape

import (
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Words are a plan as a person gives it: a profile or a trace, or neither, and what
// replaces its values. Empty words say nothing.
type Words struct {
	Profile string
	Trace   string  // file
	Scale   float64 // of the trace's throughput; 0: 1
	Start   time.Duration

	Delay, Jitter              time.Duration
	Rate, Queue, Loss, Reorder string
}

// Plan reads the words.
func (w Words) Plan() (Plan, error) {
	if w.Profile != "" && w.Trace != "" {
		return Plan{}, fmt.Errorf("link: %w: profile %s and trace %s: one of the two", vstack.ErrInvalid, w.Profile, w.Trace)
	}
	plan := Always(Shape{})
	if w.Profile != "" {
		p, err := FindProfile(w.Profile)
		if err != nil {
			return Plan{}, err
		}
		plan = p.Plan
	}
	if w.Trace != "" {
		if w.Rate != "" {
			return Plan{}, fmt.Errorf("link: %w: rate %s and trace %s: a trace is a rate", vstack.ErrInvalid, w.Rate, w.Trace)
		}
		t, err := ReadTrace(w.Trace)
		if err != nil {
			return Plan{}, err
		}
		scale := w.Scale
		if scale == 0 {
			scale = 1
		}
		if plan, err = t.Plan(Shape{}, scale, w.Start); err != nil {
			return Plan{}, err
		}
	} else if w.Scale != 0 || w.Start != 0 {
		return Plan{}, fmt.Errorf("link: %w: scale and start are of a trace, and there is none", vstack.ErrInvalid)
	}
	return w.over(plan)
}

// over puts the words that are there over every phase.
func (w Words) over(plan Plan) (Plan, error) {
	var rate, loss, reorder float64
	var err error
	for _, word := range []struct {
		text string
		to   *float64
		read func(string) (float64, error)
	}{{w.Rate, &rate, ParseRate}, {w.Loss, &loss, ParseShare}, {w.Reorder, &reorder, ParseShare}} {
		if word.text == "" {
			continue
		}
		if *word.to, err = word.read(word.text); err != nil {
			return Plan{}, err
		}
	}
	plan = plan.Each(func(s *Shape) {
		if w.Delay != 0 {
			s.Delay = w.Delay
		}
		if w.Jitter != 0 {
			s.Jitter = w.Jitter
		}
		if w.Rate != "" {
			s.Rate = rate
		}
		if w.Loss != "" {
			s.Loss = loss
		}
		if w.Reorder != "" {
			s.Reorder = reorder
		}
	})
	if w.Queue != "" {
		// Of a rate that changes, a queue as a time is one at the mean.
		bytes, err := ParseQueue(w.Queue, plan.MeanRate())
		if err != nil {
			return Plan{}, err
		}
		plan = plan.Each(func(s *Shape) { s.Queue = bytes })
	}
	return plan, plan.Validate()
}
