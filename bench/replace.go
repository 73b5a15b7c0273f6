package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/replace"
	"github.com/vstack/vstack/bench/report"
)

// replacementsPerRound scales --rounds: 50 rounds are 1,000 replacements.
const replacementsPerRound = 20

// runReplaceStore replaces stores by epoch changes while four uploaders write.
func runReplaceStore(ctx context.Context, opt Options) ([]report.Row, error) {
	const name = "replace-store"
	res, err := replaceStores(ctx, opt, replacementsPerRound, false)
	if err != nil {
		return nil, err
	}
	return append(replaceRows(name, res, opt.Rounds*replacementsPerRound),
		report.Figure(name, "one replacement, p50", "ms", milliseconds(res.Took, 0.5), nil),
		report.Figure(name, "commit before the first replacement, p50", "ms", milliseconds(res.Quiet, 0.5), nil),
		report.Figure(name, "commit before the first replacement, p99", "ms", milliseconds(res.Quiet, 0.99), nil),
		report.Figure(name, "longest time without an acknowledgement in a replacement, p50", "ms", milliseconds(res.Silence, 0.5), nil),
		report.Figure(name, "longest time without an acknowledgement in a replacement, p99", "ms", milliseconds(res.Silence, 0.99), report.AtMost(200)),
		report.Figure(name, "longest time without an acknowledgement in a replacement, max", "ms", milliseconds(res.Silence, 1), nil),
		report.Figure(name, "longest commit beside a replacement, p50", "ms", milliseconds(res.Stall, 0.5), nil),
		report.Figure(name, "longest commit beside a replacement, p99", "ms", milliseconds(res.Stall, 0.99), report.AtMost(200)),
		report.Figure(name, "longest commit beside a replacement, max", "ms", milliseconds(res.Stall, 1), nil),
	), nil
}

// runReplaceKills does the same, and kills a host in every replacement: only what is
// chosen counts, not the time that it takes.
func runReplaceKills(ctx context.Context, opt Options) ([]report.Row, error) {
	const name = "replace-store-kills"
	res, err := replaceStores(ctx, opt, 1, true)
	if err != nil {
		return nil, err
	}
	return append(replaceRows(name, res, opt.Rounds),
		report.Figure(name, "hosts killed and started again", "", float64(res.Killed), nil),
		report.Figure(name, "longest commit beside a replacement, p50", "ms", milliseconds(res.Stall, 0.5), nil),
		report.Figure(name, "longest commit beside a replacement, max", "ms", milliseconds(res.Stall, 1), nil),
	), nil
}

func replaceStores(ctx context.Context, opt Options, perRound int, kills bool) (*replace.Result, error) {
	return replace.Run(ctx, replace.Options{
		Dir: opt.Dir, Exe: opt.Exe, FirstIP: opt.FirstIP, Rounds: opt.Rounds * perRound, Kills: kills, Progress: opt.Progress,
	})
}

// replaceRows are what every run must keep to.
func replaceRows(name string, res *replace.Result, want int) []report.Row {
	rows := []report.Row{
		report.Figure(name, "violations", "", float64(len(res.Violations)), report.Exactly(0)),
		report.Figure(name, "stores replaced", "", float64(res.Rounds), report.Exactly(float64(want))),
		report.Figure(name, "stores replaced a minute", "", float64(res.Rounds)/res.Elapsed.Minutes(), nil),
		report.Figure(name, "epochs begun", "", float64(res.Groups), nil),
		report.Figure(name, "chunks acknowledged", "", float64(res.Commits), nil),
		report.Figure(name, "commits that failed", "", float64(res.Refused), report.Exactly(0)),
		report.Figure(name, "chunks looked for at their acceptors and read back", "", float64(res.Checked), report.Exactly(float64(res.Commits))),
	}
	if n := len(res.Violations); n > 0 {
		rows[0].Note = fmt.Sprintf("the first of %d:\n%s", n, strings.Join(res.Violations[:min(n, 20)], "\n"))
	}
	return rows
}

func milliseconds(d []time.Duration, q float64) float64 {
	each := make([]float64, len(d))
	for i := range d {
		each[i] = d[i].Seconds() * 1e3
	}
	return paired.Quantile(each, q)
}
