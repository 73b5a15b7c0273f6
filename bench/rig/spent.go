package rig

import (
	"context"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/readers"
	"github.com/vstack/vstack/bench/report"
)

// Spent is what a round of work on bytes took.
type Spent struct {
	Rate            float64 // MB/s
	P50             float64 // ms of one call
	Servers, Client float64 // seconds of processor a GB
}

// Spend has n calls of size bytes each made, width at once. The client's processor time is this
// process's, the servers' that of the processes named.
func Spend(ctx context.Context, servers []int, n, width, size int, work func(ctx context.Context, i int) error) (Spent, error) {
	own, all, err := used(servers)
	if err != nil {
		return Spent{}, err
	}
	wall, each, err := InFlight(ctx, n, width, work)
	if err != nil {
		return Spent{}, err
	}
	ownAfter, allAfter, err := used(servers)
	gb := float64(n) * float64(size) / 1e9
	return Spent{
		Rate: gb * 1e3 / wall.Seconds(), P50: paired.Quantile(each, 0.5) * float64(time.Second/time.Millisecond),
		Client: (ownAfter - own) / gb, Servers: (allAfter - all - ownAfter + own) / gb,
	}, err
}

// used is the processor time of this process, and of it and others together.
func used(pids []int) (own, all float64, err error) {
	if own, err = readers.Used(); err == nil {
		all, err = readers.Used(pids...)
	}
	return own, all, err
}

// SpentRows are the rows of rounds that Rounds returned: throughput with its least ratio, a
// call's median time and the processor's with their greatest.
func SpentRows(scenario, name, baseline string, rounds [][2]Spent, rate, p50, processor *report.Bound) []report.Row {
	row := func(what, unit string, bound *report.Bound, of func(Spent) float64) report.Row {
		r := report.Row{Scenario: scenario, Name: name + what, Unit: unit, Baseline: baseline, Bound: bound}
		for _, s := range rounds {
			r.Pairs = append(r.Pairs, paired.Pair{Ours: of(s[0]), Base: of(s[1])})
		}
		return r
	}
	return []report.Row{
		row("", "MB/s", rate, func(s Spent) float64 { return s.Rate }),
		row(", p50", "ms", p50, func(s Spent) float64 { return s.P50 }),
		row(", processor", "s/GB", processor, func(s Spent) float64 { return s.Servers + s.Client }),
		row(", of it servers", "s/GB", nil, func(s Spent) float64 { return s.Servers }),
		row(", of it client", "s/GB", nil, func(s Spent) float64 { return s.Client }),
	}
}
