package rig

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// InFlight runs n calls of work, at most width at once, and returns the wall time and
// each call's own time in seconds. The first error stops it.
func InFlight(ctx context.Context, n, width int, work func(ctx context.Context, i int) error) (wall time.Duration, each []float64, err error) {
	each = make([]float64, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(width)
	start := time.Now()
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			began := time.Now()
			err := work(ctx, i)
			each[i] = time.Since(began).Seconds()
			return err
		})
	}
	err = g.Wait()
	return time.Since(start), each, err
}

// Throughput is MB/s (10⁶ bytes) of bytes moved in wall.
func Throughput(bytes int64, wall time.Duration) float64 {
	return float64(bytes) / 1e6 / wall.Seconds()
}
