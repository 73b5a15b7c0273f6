package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/lab/program"
	"github.com/vstack/vstack/internal/sleep"
)

// Run repeats a drill on a lab of its own, or on given hosts, and reports. A missed assertion is no error:
// see Report.Missed. With an error the report tells what there was until then; it is
// nil when it did not come to a fault.
func Run(ctx context.Context, d Drill, opt Options) (_ *report.Report, err error) {
	opt, err = opt.withDefaults(d)
	if err != nil {
		return nil, err
	}
	from, err := programs(ctx, opt)
	if err != nil {
		return nil, err
	}
	r := report.New(report.Params{Drill: d.Name, Doc: d.Doc, Given: opt.Given.IDs(), Repeat: opt.Repeat, Loads: opt.Loads, Pause: opt.Pause, Seed: opt.Seed, Commit: opt.Commit, MayStall: d.mayStall, Assertions: opt.Assertions})
	for _, p := range from {
		r.From = append(r.From, p.Commit)
	}
	rec := report.NewRecorder(opt.Progress)
	rec.Events = opt.Events
	var s *session
	for n, began := 1, time.Now(); n <= opt.Repeat && (opt.For == 0 || time.Since(began) < opt.For); n++ {
		if s == nil {
			var earlier program.Program
			if len(from) > 0 {
				earlier = from[(n-1)%len(from)]
			}
			if s, err = open(ctx, d, opt, rec, earlier); err != nil {
				err = fmt.Errorf("before repetition %d of %s: %w", n, d.Name, err)
				break
			}
			s.loads.Start(ctx)
		}
		var rep report.Repetition
		if rep, err = s.repeat(ctx, d, n); err != nil {
			err = fmt.Errorf("repetition %d of %s: %w", n, d.Name, err)
			break
		}
		r.Repetitions = append(r.Repetitions, rep)
		rec.Say("%s  %s", progress(n, opt), rep.Line())
		if d.earlier {
			err, s = s.close(), nil
			if err != nil {
				break
			}
		}
	}
	if s != nil {
		err = errors.Join(err, s.close())
	} else if len(r.Repetitions) == 0 {
		return nil, err // it did not come to a fault
	}
	r.Finish(rec)
	return r, err
}

// programs are those of earlier versions with which a drill's labs begin, in turn.
func programs(ctx context.Context, opt Options) (out []program.Program, err error) {
	for _, rev := range opt.From {
		opt.Progress("the program of " + rev)
		p, err := program.Build(ctx, rev)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// progress is where a run is.
func progress(n int, opt Options) string {
	if opt.For > 0 {
		return fmt.Sprintf("%3d", n)
	}
	return fmt.Sprintf("%3d/%d", n, opt.Repeat)
}

// repeat is one fault and the way back.
func (s *session) repeat(ctx context.Context, d Drill, n int) (report.Repetition, error) {
	if !sleep.For(ctx, s.opt.Settle) {
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
		if err := s.loads.Media.EndPlays(ctx); err != nil {
			return report.Repetition{}, err
		}
		if err := s.loads.Media.ReadBack(ctx, d.earlier); err != nil {
			return report.Repetition{}, err
		}
	}
	return t.End(n, writes, healed), nil
}
