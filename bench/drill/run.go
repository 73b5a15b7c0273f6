package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Run repeats a drill on a lab of its own and reports. A missed assertion is no error:
// see Report.Missed. With an error the report tells what there was until then; it is
// nil when the lab did not start.
func Run(ctx context.Context, d Drill, opt Options) (_ *Report, err error) {
	opt, err = opt.withDefaults()
	if err != nil {
		return nil, err
	}
	r := newReport(d, opt)
	opt.Progress("starting three hosts")
	s, err := open(ctx, opt)
	if err != nil {
		return nil, err
	}
	s.startLoads(ctx)
	for n := 1; n <= opt.Repeat && err == nil; n++ {
		var rep Repetition
		if rep, err = s.repeat(ctx, d, n); err != nil {
			err = fmt.Errorf("repetition %d of %s: %w", n, d.Name, err)
			break
		}
		r.Repetitions = append(r.Repetitions, rep)
		s.say("%3d/%d  %s", n, opt.Repeat, rep.line())
	}
	err = errors.Join(err, s.close())
	r.finish(s)
	return r, err
}

// repeat is one fault and the way back.
func (s *session) repeat(ctx context.Context, d Drill, n int) (Repetition, error) {
	if !wait(ctx, s.opt.Settle) {
		return Repetition{}, context.Cause(ctx)
	}
	// The fault must find a cluster that serves.
	if err := s.awaitWrite(ctx, time.Now()); err != nil {
		return Repetition{}, err
	}
	t, err := d.run(ctx, s, n)
	if err != nil {
		return Repetition{}, err
	}
	if err := s.ready(ctx, t); err != nil {
		return Repetition{}, err
	}
	healed := t.fault.Add(t.event(EventHealed, "every host is ready, every store up"))
	var writes []write
	if s.meta != nil {
		if err := s.meta.readBack(ctx, "after healing"); err != nil {
			return Repetition{}, err
		}
		writes = s.meta.take()
	}
	rep := t.finish(writes, healed)
	rep.N = n
	s.mu.Lock()
	rep.Counts = maps.Clone(s.current)
	s.mu.Unlock()
	for name, v := range map[string]*float64{WriteGap: rep.WriteGap, FirstWrite: rep.FirstWrite, LeaderGap: rep.LeaderGap, Heal: rep.Heal} {
		if v != nil {
			s.tally.observe(name, time.Duration(*v*float64(time.Second)))
		}
	}
	return rep, nil
}
