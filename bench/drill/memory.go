package drill

import (
	"context"
	"errors"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/lab/memcap"
)

// tightFor is how long a host gets no more memory.
const tightFor = 10 * time.Second

// memoryOf is the control group of a host of the drill's own.
func memoryOf(h site.Host) (*memcap.Group, error) {
	if l, ok := h.(*labHost); ok {
		if g := l.place.lab.Memory(l.process); g != nil {
			return g, nil
		}
	}
	return nil, errNoLab(h)
}

func runMemoryPressure(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	last := s.opt.Pause
	if last == 0 {
		last = tightFor
	}
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := s.tight(ctx, t, h, last); err != nil {
		return t, err
	}
	return t, s.awaitWrite(ctx, time.Now())
}

// tight takes a host's memory away for a time, or until the kernel has ended it. A host
// that bears it is as good as one that ends: what must not be is one that lies.
func (s *session) tight(ctx context.Context, t *report.Timeline, h site.Host, last time.Duration) error {
	group, err := memoryOf(h)
	if err != nil {
		return err
	}
	limit, err := group.Tighten()
	if err != nil {
		return err
	}
	s.took(t, "%s gets no more than %d MiB of memory", h.ID(), limit>>20)
	ended := within(ctx, last, h.AwaitEnd)
	if err := errors.Join(group.Loosen(), context.Cause(ctx)); err != nil {
		return err
	}
	t.Event(report.EventMend, "%s gets memory again", h.ID())
	if !ended {
		return nil
	}
	t.Event(report.EventExit, "%s was ended by the kernel", h.ID())
	return s.revive(ctx, t, h)
}

// within asks for something to happen until a time is over.
func within(ctx context.Context, last time.Duration, happened func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, last)
	defer cancel()
	return happened(ctx)
}
