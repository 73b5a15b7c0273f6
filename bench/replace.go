package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/replace"
)

// replacementsPerRound scales --rounds: 50 rounds are 1,000 replacements.
const replacementsPerRound = 20

// runReplaceStore replaces stores by epoch changes while four uploaders write.
func runReplaceStore(ctx context.Context, opt Options) ([]Row, error) {
	const name = "replace-store"
	want := opt.Rounds * replacementsPerRound
	res, err := replace.Run(ctx, replace.Options{Dir: opt.Dir, Exe: opt.Exe, FirstIP: opt.FirstIP, Rounds: want, Progress: opt.Progress})
	if err != nil {
		return nil, err
	}
	ms := func(d []time.Duration, q float64) float64 {
		each := make([]float64, len(d))
		for i := range d {
			each[i] = d[i].Seconds() * 1e3
		}
		return quantile(each, q)
	}
	longest := func(d []time.Duration) float64 { return slices.Max(d).Seconds() * 1e3 }
	rows := []Row{
		figure(name, "stores replaced", "", float64(res.Rounds), &Bound{"==", float64(want)}),
		figure(name, "stores replaced a minute", "", float64(res.Rounds)/res.Elapsed.Minutes(), nil),
		figure(name, "epochs begun", "", float64(res.Groups), nil),
		figure(name, "one replacement, p50", "ms", ms(res.Took, 0.5), nil),
		figure(name, "chunks acknowledged", "", float64(res.Commits), nil),
		figure(name, "commits that failed", "", float64(res.Refused), &Bound{"==", 0}),
		figure(name, "chunks looked for at their acceptors and read back", "", float64(res.Checked), &Bound{"==", float64(res.Commits)}),
		figure(name, "violations", "", float64(len(res.Violations)), &Bound{"==", 0}),
		figure(name, "commit before the first replacement, p50", "ms", ms(res.Quiet, 0.5), nil),
		figure(name, "commit before the first replacement, p99", "ms", ms(res.Quiet, 0.99), nil),
		figure(name, "longest time without an acknowledgement in a replacement, p50", "ms", ms(res.Silence, 0.5), nil),
		figure(name, "longest time without an acknowledgement in a replacement, p99", "ms", ms(res.Silence, 0.99), &Bound{"<=", 200}),
		figure(name, "longest time without an acknowledgement in a replacement, max", "ms", longest(res.Silence), nil),
		figure(name, "longest commit beside a replacement, p50", "ms", ms(res.Stall, 0.5), nil),
		figure(name, "longest commit beside a replacement, p99", "ms", ms(res.Stall, 0.99), &Bound{"<=", 200}),
		figure(name, "longest commit beside a replacement, max", "ms", longest(res.Stall), nil),
	}
	if n := len(res.Violations); n > 0 {
		rows[7].Note = fmt.Sprintf("the first of %d:\n%s", n, strings.Join(res.Violations[:min(n, 20)], "\n"))
	}
	return rows, nil
}
