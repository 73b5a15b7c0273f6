package drill

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/sleep"
)

// runChaos is one storm: its faults depend on the seed and the repetition alone, not on
// who leads or what clients do.
func runChaos(ctx context.Context, s *session, n int) (_ *report.Timeline, err error) {
	st := storm.Draw(s.opt.Seed, n, len(s.hosts))
	s.rec.Say("  %s", st)
	victim := s.hosts[st.Victim]
	_, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	t := s.fault(victim)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	var bad sync.WaitGroup
	errs := make([]error, len(st.Links)+1)
	for i, g := range st.Links {
		bad.Go(func() { errs[i] = s.blowOver(ctx, t, g) })
	}
	if sleep.For(ctx, st.After) {
		errs[len(st.Links)] = s.strike(ctx, t, victim, st)
	}
	bad.Wait()
	if err := errors.Join(append(errs, context.Cause(ctx))...); err != nil {
		return t, err
	}
	return t, s.awaitWrite(ctx, time.Now())
}

// blowOver makes a link bad for a time.
func (s *session) blowOver(ctx context.Context, t *report.Timeline, g storm.Gust) error {
	h, ok := s.hosts[g.Host].(*labHost)
	if !ok || h.place.lab.Net == nil {
		return errNoLab(s.hosts[g.Host])
	}
	plan, fine := shape.Always(g.Shape), shape.Always(shape.Shape{})
	if err := h.place.lab.Net.SetLink(h.index, plan, plan); err != nil {
		return err
	}
	s.took(t, "the link of %s is bad: %v", h.ID(), g)
	sleep.For(ctx, g.For)
	if err := h.place.lab.Net.SetLink(h.index, fine, fine); err != nil {
		return err
	}
	t.Event(report.EventMend, "the link of %s is well again", h.ID())
	return nil
}

// strike hurts a host, and mends it, whatever becomes of ctx.
func (s *session) strike(ctx context.Context, t *report.Timeline, h site.Host, st storm.Storm) error {
	whole := context.WithoutCancel(ctx)
	switch st.Blow {
	case storm.Crash:
		if err := h.Kill(ctx); err != nil {
			return err
		}
		s.took(t, "%s killed", h.ID())
		sleep.For(ctx, st.For)
		return s.revive(whole, t, h)
	case storm.Still:
		if err := h.Pause(ctx); err != nil {
			return err
		}
		s.took(t, "%s stopped", h.ID())
		sleep.For(ctx, st.For)
		t.Event(report.EventMend, "%s goes on", h.ID())
		return h.Resume(whole)
	case storm.CutOff:
		if err := h.Cut(ctx, st.Cut); err != nil {
			return err
		}
		s.took(t, "%s cut off, %s", h.ID(), st.Cut)
		sleep.For(ctx, st.For)
		t.Event(report.EventMend, "%s is reached again", h.ID())
		return h.Heal(whole)
	case storm.SlowDisk:
		took := s.took(t, "the Raft disk of %s is slow", h.ID())
		for time.Since(took) < st.For && ctx.Err() == nil {
			if err := pulse(ctx, h); err != nil {
				return err
			}
		}
		t.Event(report.EventMend, "the disk of %s is quick again", h.ID())
		return nil
	case storm.FullDisk:
		return s.full(ctx, t, h, st.For)
	}
	return s.tight(ctx, t, h, st.For)
}

// full fills a host's disk for a time, or until the host has ended, as it should once it
// wants to write.
func (s *session) full(ctx context.Context, t *report.Timeline, h site.Host, last time.Duration) error {
	disk, err := loopDisk(h)
	if err != nil {
		return err
	}
	if err := disk.Fill(); err != nil {
		return errors.Join(err, disk.Free())
	}
	s.took(t, "the Raft disk of %s is full", h.ID())
	ended := within(ctx, last, h.AwaitEnd)
	if err := errors.Join(disk.Free(), context.Cause(ctx)); err != nil {
		return err
	}
	t.Event(report.EventMend, "the disk of %s has space again", h.ID())
	if !ended {
		return nil
	}
	t.Event(report.EventExit, "%s ended, as it should", h.ID())
	return s.revive(ctx, t, h)
}
