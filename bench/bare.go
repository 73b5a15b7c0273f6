package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	besideCopies = "net/http and os.File alone"
	// bareRound is how many chunks a round writes or reads at most: 64 MiB.
	bareRound = 32
	// bareSet is how many MiB are read in turn where Options.WorkingSet says nothing.
	bareSet, maxBareSet = 64, 8 << 10
)

// bareSites opens a lab and copies hosts beside it.
func bareSites(ctx context.Context, opt Options) (_ *rig.Cluster, _ *baseline.Copies, end func() error, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, nil, nil, err
	}
	bare, err := c.Site().StartCopies()
	if err != nil {
		return nil, nil, nil, errors.Join(err, c.Close())
	}
	return c, bare, func() error { return errors.Join(bare.Close(), c.Close()) }, nil
}

// runBarePut sets three acknowledged copies beside those of a server that does only what a
// durable, checked and encrypted copy needs.
func runBarePut(ctx context.Context, opt Options) (rows []report.Row, err error) {
	c, bare, end, err := bareSites(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	up, err := c.OpenUpload(ctx, "bare-put")
	if err != nil {
		return nil, err
	}
	ours, err := c.NewWideClient(bareRound, vstack.ProposerID{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	for _, width := range []int{1, 8, 32} {
		name := fmt.Sprintf("%d in flight", width)
		opt.Progress("  " + name)
		var slots [bareRound]vstack.Slot
		round := func(pids []int, put func(ctx context.Context, i int, data []byte) error) func(context.Context) (rig.Spent, error) {
			return func(ctx context.Context) (rig.Spent, error) {
				datas := make([][]byte, bareRound)
				for i := range datas {
					datas[i], slots[i] = rig.RandomChunk(vstack.ChunkSize), up.Slot()
				}
				return rig.Spend(ctx, pids, bareRound, width, vstack.ChunkSize, func(ctx context.Context, i int) error { return put(ctx, i, datas[i]) })
			}
		}
		rounds, err := rig.Rounds(ctx, opt.Rounds,
			round(c.Pids(), func(ctx context.Context, i int, data []byte) error { return up.Put(ctx, ours, slots[i], data) }),
			round(bare.Pids(), bare.Put))
		if err != nil {
			return nil, err
		}
		rows = append(rows, rig.SpentRows("bare-put", name, besideCopies, rounds, report.AtLeast(0.85), report.AtMost(1.15), report.AtMost(1.25))...)
	}
	return rows, nil
}

// runBareGet sets whole reads of a working set beside those of the same server, over TLS and
// over HTTP/3.
func runBareGet(ctx context.Context, opt Options) (rows []report.Row, err error) {
	c, bare, end, err := bareSites(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	up, err := c.OpenUpload(ctx, "bare-get")
	if err != nil {
		return nil, err
	}
	opt.Progress("  fill")
	chunks, bares, err := fillBoth(ctx, up, bare, max(1, opt.WorkingSet<<20/vstack.ChunkSize))
	if err != nil {
		return nil, err
	}
	if err := readAll(ctx, c, append(chunks, bares...)); err != nil {
		return nil, err
	}
	for _, over := range []struct {
		name   string
		client func(*tls.Config) *getter
		widths []int
	}{{"TLS", tcpGetter, []int{1, 8}}, {"HTTP/3", http3Getter, []int{1, 4, 8, 32}}} {
		for _, width := range over.widths {
			name := fmt.Sprintf("%s, %d in flight", over.name, width)
			opt.Progress("  " + name)
			side := func(pids []int, urls []string) (func(context.Context) (rig.Spent, error), *getter) {
				g, next := over.client(c.ID.ClientTLS()), 0
				return func(ctx context.Context) (rig.Spent, error) {
					from := next
					next += bareRound
					return rig.Spend(ctx, pids, bareRound, width, vstack.ChunkSize, func(ctx context.Context, i int) error {
						return g.get(ctx, urls[(from+i)%len(urls)], vstack.ChunkSize)
					})
				}, g
			}
			ours, ourClient := side(c.Pids(), chunks)
			base, bareClient := side(bare.Pids(), bares)
			rounds, err := rig.Rounds(ctx, opt.Rounds, ours, base)
			if err := errors.Join(err, ourClient.close(), bareClient.close()); err != nil {
				return nil, err
			}
			rows = append(rows, rig.SpentRows("bare-get", name, besideCopies, rounds, report.AtLeast(0.95), nil, nil)...)
		}
	}
	return rows, nil
}

// readAll reads everything once, so that both sides have in memory what fits there: stores write
// past the page cache.
func readAll(ctx context.Context, c *rig.Cluster, urls []string) error {
	g := tcpGetter(c.ID.ClientTLS())
	_, _, err := rig.InFlight(ctx, len(urls), 4, func(ctx context.Context, i int) error { return g.get(ctx, urls[i], vstack.ChunkSize) })
	return errors.Join(err, g.close())
}

// fillBoth writes n chunks to each side and returns where they are read.
func fillBoth(ctx context.Context, up *rig.Upload, bare *baseline.Copies, n int) (ours, base []string, err error) {
	for i := range n {
		data := rig.RandomChunk(vstack.ChunkSize)
		if err := bare.Put(ctx, i, data); err != nil {
			return nil, nil, err
		}
		base = append(base, "https://"+bare.Addr(i)+wire.PathChunks+vstack.ChunkIDOf(data).String())
	}
	chunks, err := up.Fill(ctx, n, vstack.ChunkSize)
	for _, ch := range chunks {
		ours = append(ours, "https://"+ch.Addr+wire.PathChunks+ch.ID.String())
	}
	return ours, base, err
}
