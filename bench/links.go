package bench

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/link/proof"
	"github.com/vstack/vstack/bench/link/tun"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/internal/vstack"
)

// runLinks holds the relay, and the devices between namespaces where there is root, to
// arithmetic.
func runLinks(ctx context.Context, opt Options) ([]report.Row, error) {
	server, err := netip.ParseAddr(opt.FirstIP)
	if err != nil {
		return nil, fmt.Errorf("first address: %w: %w", vstack.ErrInvalid, err)
	}
	kinds := []string{"relay", "TUN"}
	for _, available := range []func() error{netns.Available, tun.Available} {
		if err := available(); err != nil {
			opt.Progress("  WITHOUT links between namespaces: " + err.Error())
			kinds = kinds[:1]
			break
		}
	}
	var rows []report.Row
	for i, kind := range kinds {
		for _, rate := range []float64{10e6, 50e6, 500e6} {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			opt.Progress(fmt.Sprintf("  %s at %g Mbit/s", kind, rate/1e6))
			figures, err := proof.Run(proof.Config{Exe: opt.Exe, Args: partArgs(partLink), Server: server, TUN: i == 1, Progress: opt.Progress}, rate)
			if err != nil {
				return nil, err
			}
			for _, f := range figures {
				rows = append(rows, linkRow(fmt.Sprintf("%s, %g Mbit/s, %s", kind, rate/1e6, f.Name), f))
			}
		}
	}
	return rows, nil
}

func linkRow(name string, f proof.Figure) report.Row {
	row := report.Figure("links", name, f.Unit, f.Got, nil)
	if f.Want != 0 {
		row.Baseline, row.Pairs[0].Base, row.Bound = "arithmetic", f.Want, report.Near(f.Off)
	}
	if f.Most != 0 {
		row.Bound = report.AtMost(f.Most)
	}
	return row
}
