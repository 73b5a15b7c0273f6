package bench

import (
	"context"
	"errors"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	// putsPerRound is how many chunks a throughput round commits: 48 MiB, three times on disk.
	putsPerRound = 24
	// singlesPerRound is how many chunks a latency round commits, one after the other.
	singlesPerRound = 8
)

// runPut compares a committed chunk with the bare cost of its three durable copies.
// Ours counts only when all three stores have acknowledged, though two are enough
// for Commit: the baseline waits for three files too. It hashes, seals and sends nothing, so that
// on a fast disk the ratio says what that costs; bare-put has bounds that hold on any disk.
func runPut(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	disk, err := baseline.NewPlainDisk(opt.Dir, rig.RandomChunk(vstack.ChunkSize))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	up, err := c.OpenUpload(ctx, "put")
	if err != nil {
		return nil, err
	}
	var rows []report.Row
	opt.Progress("  8 in flight")
	ps, err := rig.Pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.PutRound(ctx, c.Chunks, putsPerRound, 8) },
		func(ctx context.Context) (float64, error) {
			wall, err := disk.Many(ctx, putsPerRound)
			return rig.Throughput(putsPerRound*vstack.ChunkSize, wall), err
		})
	if err != nil {
		return nil, err
	}
	rows = append(rows, report.Row{Scenario: "put", Name: "8 in flight", Unit: "MB/s of chunks", Pairs: ps,
		Baseline: "three files, write + fdatasync"})
	opt.Progress("  1 in flight")
	ps, err = rig.Pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.PutMedian(ctx, c.Chunks, singlesPerRound) },
		func(ctx context.Context) (float64, error) {
			each := make([]float64, singlesPerRound)
			for i := range each {
				d, err := disk.One(ctx)
				if err != nil {
					return 0, err
				}
				each[i] = d.Seconds() * 1e3
			}
			return paired.Quantile(each, 0.5), nil
		})
	if err != nil {
		return nil, err
	}
	return append(rows, report.Row{Scenario: "put", Name: "1 in flight, p50", Unit: "ms", Pairs: ps,
		Baseline: "three files, write + fdatasync"}), nil
}

// runWriteTransport decides --write-transport: TCP is "ours", QUIC the baseline.
func runWriteTransport(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	quic, err := c.NewClient(quicclient.WriteQUIC)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, quic.Close()) }()
	up, err := c.OpenUpload(ctx, "write-transport")
	if err != nil {
		return nil, err
	}
	opt.Progress("  8 in flight")
	wide, err := rig.Pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.PutRound(ctx, c.Chunks, putsPerRound, 8) },
		func(ctx context.Context) (float64, error) { return up.PutRound(ctx, quic, putsPerRound, 8) })
	if err != nil {
		return nil, err
	}
	opt.Progress("  1 in flight")
	single, err := rig.Pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.PutMedian(ctx, c.Chunks, singlesPerRound) },
		func(ctx context.Context) (float64, error) { return up.PutMedian(ctx, quic, singlesPerRound) })
	if err != nil {
		return nil, err
	}
	return []report.Row{
		{Scenario: "write-transport", Name: "TCP, 8 in flight", Unit: "MB/s of chunks", Baseline: "QUIC", Pairs: wide},
		{Scenario: "write-transport", Name: "TCP, 1 in flight, p50", Unit: "ms", Baseline: "QUIC", Pairs: single},
	}, nil
}
