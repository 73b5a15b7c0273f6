package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/report"
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
// for Commit: the baseline waits for three files too.
func runPut(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := openCluster(ctx, opt, quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	disk, err := baseline.NewPlainDisk(opt.Dir, randomChunk(vstack.ChunkSize))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	up, err := c.openUpload(ctx, "put")
	if err != nil {
		return nil, err
	}
	var rows []report.Row
	opt.Progress("  8 in flight")
	ps, err := pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.putRound(ctx, c.chunks, putsPerRound, 8) },
		func(ctx context.Context) (float64, error) {
			wall, err := disk.Many(ctx, putsPerRound)
			return throughput(putsPerRound*vstack.ChunkSize, wall), err
		})
	if err != nil {
		return nil, err
	}
	rows = append(rows, report.Row{Scenario: "put", Name: "8 in flight", Unit: "MB/s of chunks", Pairs: ps,
		Baseline: "three files, write + fdatasync", Bound: report.AtLeast(0.9)})
	opt.Progress("  1 in flight")
	ps, err = pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.putMedian(ctx, c.chunks, singlesPerRound) },
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
		Baseline: "three files, write + fdatasync", Bound: report.AtMost(1.3)}), nil
}

// putRound commits n fresh chunks, width at once, and returns MB/s of chunk bytes.
func (u *upload) putRound(ctx context.Context, client *quicclient.Client, n, width int) (float64, error) {
	datas, slots := make([][]byte, n), make([]vstack.Slot, n)
	for i := range datas {
		datas[i], slots[i] = randomChunk(vstack.ChunkSize), u.slot()
	}
	wall, _, err := inFlight(ctx, n, width, func(ctx context.Context, i int) error {
		return u.put(ctx, client, slots[i], datas[i])
	})
	return throughput(int64(n)*vstack.ChunkSize, wall), err
}

// putMedian commits n fresh chunks one after the other and returns the median in ms.
func (u *upload) putMedian(ctx context.Context, client *quicclient.Client, n int) (float64, error) {
	each := make([]float64, n)
	for i := range each {
		data := randomChunk(vstack.ChunkSize)
		start := time.Now()
		if err := u.put(ctx, client, u.slot(), data); err != nil {
			return 0, err
		}
		each[i] = time.Since(start).Seconds() * 1e3
	}
	return paired.Quantile(each, 0.5), nil
}

// put commits one chunk and demands all three copies.
func (u *upload) put(ctx context.Context, client *quicclient.Client, slot vstack.Slot, data []byte) error {
	return u.putWith(ctx, client, slot, data, nil)
}

// putWith is put with the chunk's leaf table, or none.
func (u *upload) putWith(ctx context.Context, client *quicclient.Client, slot vstack.Slot, data []byte, leaves vstack.LeafTable) error {
	got, err := client.CommitValue(ctx, u.Upload, slot, vstack.Value{Chunk: vstack.ChunkIDOf(data), Size: uint32(len(data))}, leaves, data)
	if err != nil {
		return fmt.Errorf("commit %s: %w", slot, err)
	}
	if got.Acks != vstack.Acceptors {
		return fmt.Errorf("commit %s: %w: %d copies, want %d", slot, vstack.ErrNoQuorum, got.Acks, vstack.Acceptors)
	}
	return nil
}

// runWriteTransport decides --write-transport: TCP is "ours", QUIC the baseline.
func runWriteTransport(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := openCluster(ctx, opt, quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	quic, err := c.newChunkClient(quicclient.WriteQUIC)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, quic.Close()) }()
	up, err := c.openUpload(ctx, "write-transport")
	if err != nil {
		return nil, err
	}
	opt.Progress("  8 in flight")
	wide, err := pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.putRound(ctx, c.chunks, putsPerRound, 8) },
		func(ctx context.Context) (float64, error) { return up.putRound(ctx, quic, putsPerRound, 8) })
	if err != nil {
		return nil, err
	}
	opt.Progress("  1 in flight")
	single, err := pairs(ctx, opt.Rounds,
		func(ctx context.Context) (float64, error) { return up.putMedian(ctx, c.chunks, singlesPerRound) },
		func(ctx context.Context) (float64, error) { return up.putMedian(ctx, quic, singlesPerRound) })
	if err != nil {
		return nil, err
	}
	return []report.Row{
		{Scenario: "write-transport", Name: "TCP, 8 in flight", Unit: "MB/s of chunks", Baseline: "QUIC", Pairs: wide},
		{Scenario: "write-transport", Name: "TCP, 1 in flight, p50", Unit: "ms", Baseline: "QUIC", Pairs: single},
	}, nil
}
