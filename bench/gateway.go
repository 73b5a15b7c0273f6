package bench

import (
	"context"
	"fmt"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/viewers"
	"github.com/vstack/vstack/internal/vstack"
)

// Viewers of one film, and films with a viewer each.
const (
	gatewayViewers = 200
	gatewayFilms   = 50
	// gatewayMemory is what a gateway with a cache of 64 MiB may have resident: cache, 64 MiB
	// being fetched and 64 KiB a viewer, all of it twice for what the collector has not
	// taken yet, the receive windows of the connections to six stores, and the program.
	gatewayMemory = 2*(viewers.Cache+64<<20+gatewayViewers*64<<10) + 6*6<<20 + 128<<20
	// gatewayAgain is how many times the bytes that they are shown viewers of many films may
	// cost: a segment ends within a chunk, and the cache holds half of the chunks that the
	// viewers are at.
	gatewayAgain = 1.25
)

// runGateway measures one gateway under many viewers.
func runGateway(ctx context.Context, opt Options) ([]report.Row, error) {
	const name = "gateway"
	res, err := viewers.Run(ctx, viewers.Options{
		Dir: opt.Dir, Exe: opt.Exe, FirstIP: opt.FirstIP, Viewers: gatewayViewers, Films: gatewayFilms, Rounds: opt.Rounds, Progress: opt.Progress,
		Upload: func(ctx context.Context, client, file, title string) (vstack.VideoID, error) {
			return players.Upload(ctx, opt.Exe, client, file, title)
		},
	})
	if err != nil {
		return nil, err
	}
	beside := report.Figure(name, fmt.Sprintf("%d viewers of one film", res.Viewers), "MB/s", 0, nil)
	beside.Pairs = nil
	for i, v := range res.Ours {
		p := paired.Pair{Ours: v}
		if i < len(res.Nginx) {
			p.Base = res.Nginx[i]
		}
		beside.Pairs = append(beside.Pairs, p)
	}
	if !res.NoNginx {
		beside.Baseline, beside.Bound = "nginx that serves the same segments from files over TLS", report.AtLeast(0.5)
	} else {
		beside.Note = "nginx is not installed: there is nothing to compare with"
	}
	failed := report.Figure(name, "errors of viewers, two hosts killed meanwhile", "", float64(res.Errors), report.Exactly(0))
	if res.First != nil {
		failed.Note = res.First.Error()
	}
	return []report.Row{
		beside, failed,
		report.Figure(name, "bytes from stores ÷ bytes to viewers, one film", "", res.SharedOne, report.AtMost(2.0/gatewayViewers)),
		report.Figure(name, fmt.Sprintf("the same, %d films with a viewer each", res.Films), "", res.SharedMany, report.AtMost(gatewayAgain)),
		report.Figure(name, fmt.Sprintf("%d films with a viewer each", res.Films), "MB/s", res.ManyRate, nil),
		report.Figure(name, "hosts killed under viewers", "", float64(res.Killed), report.Exactly(2)),
		report.Figure(name, "peak memory of the gateway", "MiB", res.Peak/(1<<20), report.AtMost(gatewayMemory>>20)),
	}, nil
}
