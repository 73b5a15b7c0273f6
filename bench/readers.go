package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/readers"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	readersFor = 5 * time.Second
	// readersSet is the working set: what one store has of it is more than its cache.
	readersSet = 192
)

// runReaders has 1, 10, 100 and 500 readers, an address and a connection each, read whole
// chunks of one store, and of a bare server, in turns.
func runReaders(ctx context.Context, opt Options) (_ []report.Row, err error) {
	const name = "readers"
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	bare, err := c.Site().StartBare(net.JoinHostPort(opt.FirstIP, "8099"), vstack.ChunkSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Close()) }()
	up, err := c.OpenUpload(ctx, name)
	if err != nil {
		return nil, err
	}
	all, err := up.Fill(ctx, readersSet, vstack.ChunkSize)
	if err != nil {
		return nil, err
	}
	chunks := onOneStore(all)
	roots, err := identity.LoadRoots(filepath.Join(c.Lab.Lab.Client, "ca.crt")) // a key is an address
	if err != nil {
		return nil, err
	}
	conf := roots.ClientTLS()
	host := c.PidOf(chunks[0].Addr)
	before, err := readers.Memory(host)
	if err != nil {
		return nil, err
	}
	rows := []report.Row{report.Figure(name, "memory before", "MiB", before/(1<<20), nil)}
	for _, h3 := range []bool{true, false} {
		for _, n := range []int{1, 10, 100, 500} {
			what := fmt.Sprintf("%s, %d readers", map[bool]string{true: "HTTP/3", false: "TLS"}[h3], n)
			opt.Progress("  " + what)
			load := readers.Load{Readers: n, HTTP3: h3, TLS: conf, Size: vstack.ChunkSize, For: readersFor}
			ours, base := load, load
			ours.Pid, ours.URL = host, func(i int) string {
				ch := chunks[i*7%len(chunks)]
				return "https://" + ch.Addr + "/v1/chunks/" + ch.ID.String()
			}
			base.Pid, base.URL = bare.Pid(), func(int) string { return "https://" + bare.Addr + "/" }
			more, err := besideBare(ctx, opt, what, ours, base)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
	}
	opt.Progress("  a minute of rest")
	select {
	case <-time.After(time.Minute):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	after, err := readers.Memory(host)
	return append(rows, report.Figure(name, "memory a minute after", "MiB", after/(1<<20), nil)), err
}

// besideBare compares one number of readers.
func besideBare(ctx context.Context, opt Options, what string, ours, base readers.Load) ([]report.Row, error) {
	var rate, p50, p99, cpu []paired.Pair
	var failed, peak float64
	for range opt.Rounds {
		o, err := ours.Run(ctx)
		if err != nil {
			return nil, err
		}
		b, err := base.Run(ctx)
		if err != nil {
			return nil, err
		}
		rate, cpu = append(rate, paired.Pair{Ours: o.Rate, Base: b.Rate}), append(cpu, paired.Pair{Ours: o.CPU, Base: b.CPU})
		p50, p99 = append(p50, paired.Pair{Ours: o.P50, Base: b.P50}), append(p99, paired.Pair{Ours: o.P99, Base: b.P99})
		failed, peak = failed+float64(o.Failed), max(peak, o.Peak)
		if o.First != nil {
			opt.Progress(fmt.Sprintf("    %d failed: %v", o.Failed, o.First))
		}
	}
	row := func(measure, unit string, ps []paired.Pair, b *report.Bound) report.Row {
		return report.Row{Scenario: "readers", Name: what + measure, Unit: unit, Baseline: "bare server from memory", Pairs: ps, Bound: b}
	}
	return []report.Row{
		row("", "MB/s", rate, report.AtLeast(0.8)), row(", p50", "s", p50, nil), row(", p99", "s", p99, nil), row(", processor", "s/GB", cpu, nil),
		report.Figure("readers", what+", failed", "", failed, report.Exactly(0)), report.Figure("readers", what+", peak memory", "MiB", peak/(1<<20), report.AtMost(memoryBound>>20)),
	}, nil
}
