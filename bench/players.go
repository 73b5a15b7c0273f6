package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

const (
	loadUploads = 12
	loadPlayers = 100
	// memoryBound is what a host's process may have resident at its peak (docs/limits.md).
	memoryBound = 1 << 30
)

// runLoad plays one video 100 times, in real time, while 12 uploads run, as separate
// `vstack video upload` processes. Every chunk is verified by the player, every upload
// by reading it back.
func runLoad(ctx context.Context, opt Options) (_ []report.Row, err error) {
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	clip := filepath.Join(c.Lab.Dir, "load.mp4")
	if err := players.Clip(ctx, clip, players.Picture{Seconds: 20}); err != nil {
		return nil, err
	}
	first, err := players.Upload(ctx, opt.Exe, c.Lab.Client, clip, "load")
	if err != nil {
		return nil, err
	}
	manifest, err := c.Meta.Manifest(ctx, first)
	if err != nil {
		return nil, err
	}
	opt.Progress(fmt.Sprintf("  %d uploads and %d players", loadUploads, loadPlayers))
	start := time.Now()
	var mu sync.Mutex
	var uploaded []vstack.VideoID
	var reports []quicclient.Report
	g, gctx := errgroup.WithContext(ctx)
	for i := range loadUploads {
		g.Go(func() error {
			id, err := players.Upload(gctx, opt.Exe, c.Lab.Client, clip, "load "+strconv.Itoa(i+1))
			mu.Lock()
			defer mu.Unlock()
			uploaded = append(uploaded, id)
			return err
		})
	}
	for range loadPlayers {
		g.Go(func() error {
			r, err := players.Play(gctx, c.Lab.Client, c.Meta, manifest, 1)
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, r)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	wall := time.Since(start)
	for _, id := range uploaded {
		m, err := c.Meta.Manifest(ctx, id)
		if err != nil {
			return nil, err
		}
		if _, err := players.Play(ctx, c.Lab.Client, c.Meta, m, 0); err != nil {
			return nil, fmt.Errorf("read back %s: %w", id, err)
		}
	}
	return loadRows(c, reports, wall)
}

func loadRows(c *rig.Cluster, reports []quicclient.Report, wall time.Duration) ([]report.Row, error) {
	startups, stalls := make([]float64, len(reports)), make([]float64, len(reports))
	for i, r := range reports {
		startups[i], stalls[i] = r.Startup, float64(r.Stalls)
	}
	rows := []report.Row{
		report.Figure("load", "players", "players", float64(len(reports)), report.AtLeast(loadPlayers)),
		report.Figure("load", "startup p50 of players who all start at once", "s", paired.Quantile(startups, 0.5), nil),
		report.Figure("load", "startup p95 of players who all start at once", "s", paired.Quantile(startups, 0.95), nil),
		report.Figure("load", "stalls of the worst player", "stalls", paired.Quantile(stalls, 1), report.AtMost(1)),
		report.Figure("load", "wall time", "s", wall.Seconds(), nil),
	}
	for _, h := range c.Lab.Hosts {
		peak, err := players.PeakMemory(h.Pid())
		if err != nil {
			return nil, err
		}
		rows = append(rows, report.Figure("load", fmt.Sprintf("peak memory of %s", h.ID), "MiB", math.Round(peak/(1<<20)), report.AtMost(memoryBound>>20)))
	}
	return rows, nil
}
