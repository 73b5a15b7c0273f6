package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/report"
)

// Run repeats a drill on a lab of its own, or on given hosts, and reports. A missed assertion is no error:
// see Report.Missed. With an error the report tells what there was until then; it is
// nil when it did not come to a fault.
func Run(ctx context.Context, d Drill, opt Options) (_ *report.Report, err error) {
	opt, err = opt.withDefaults()
	if err != nil {
		return nil, err
	}
	r := report.New(report.Params{Drill: d.Name, Doc: d.Doc, Given: opt.Given.ids(), Repeat: opt.Repeat, Loads: opt.Loads, Pause: opt.Pause, Seed: opt.Seed, Assertions: opt.Assertions})
	if opt.Given == nil {
		opt.Progress("starting three hosts")
	}
	s, err := open(ctx, d, opt)
	if err != nil {
		return nil, err
	}
	s.loads.Start(ctx)
	for n := 1; n <= opt.Repeat && err == nil; n++ {
		var rep report.Repetition
		if rep, err = s.repeat(ctx, d, n); err != nil {
			err = fmt.Errorf("repetition %d of %s: %w", n, d.Name, err)
			break
		}
		r.Repetitions = append(r.Repetitions, rep)
		s.rec.Say("%3d/%d  %s", n, opt.Repeat, rep.Line())
	}
	err = errors.Join(err, s.close())
	r.Finish(s.rec)
	return r, err
}

// repeat is one fault and the way back.
func (s *session) repeat(ctx context.Context, d Drill, n int) (report.Repetition, error) {
	if !load.Wait(ctx, s.opt.Settle) {
		return report.Repetition{}, context.Cause(ctx)
	}
	// The fault must find a cluster that serves.
	if err := s.awaitWrite(ctx, time.Now()); err != nil {
		return report.Repetition{}, err
	}
	upload := s.loads.UnderWay()
	t, err := d.run(ctx, s, n)
	if err != nil {
		return report.Repetition{}, err
	}
	if err := s.ready(ctx, t); err != nil {
		return report.Repetition{}, err
	}
	healed := t.Fault.Add(t.Event(report.EventHealed, "every host is ready, every store up"))
	var writes []report.Write
	if s.loads.Meta != nil {
		if err := s.loads.Meta.Cut(ctx, "after healing"); err != nil {
			return report.Repetition{}, err
		}
		writes = s.loads.Meta.Take()
	}
	// The upload that met the fault is read back with the others.
	if err := load.Await(ctx, upload); err != nil {
		return report.Repetition{}, err
	}
	if s.loads.Media != nil {
		if err := s.loads.Media.ReadBack(ctx); err != nil {
			return report.Repetition{}, err
		}
	}
	return t.End(n, writes, healed), nil
}
