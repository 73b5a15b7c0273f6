package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vstack/vstack/bench/history"
	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/report"
)

// historiesPerRound scales --rounds: 50 rounds are 200 histories.
const historiesPerRound = 4

// runSlotHistories records what uploaders of the same slots see while hosts, links and
// uploaders fail, and judges each slot as a write-once register.
func runSlotHistories(ctx context.Context, opt Options) ([]report.Row, error) {
	const name = "slot-histories"
	want := opt.Rounds * historiesPerRound
	conf := history.Options{
		Dir: opt.Dir, Exe: opt.Exe, Args: partArgs(partSlotClient), FirstIP: opt.FirstIP, Histories: want, Progress: opt.Progress,
	}
	res := &history.Result{Faults: map[string]int{}}
	if err := netns.Available(); err != nil {
		opt.Progress("  SKIPPED hosts in network namespaces, links are cut in all histories: " + err.Error())
	} else {
		// Half with the clients' own links cut, half with hosts cut off from each other.
		conf.Histories = want / 2
		half := conf
		half.Namespaces, half.Histories, half.Seed = true, want-conf.Histories, 2
		more, err := history.Run(ctx, half)
		if err != nil {
			return nil, err
		}
		res.Merge(more)
	}
	more, err := history.Run(ctx, conf)
	if err != nil {
		return nil, err
	}
	res.Merge(more)
	none := report.Exactly(0)
	count := func(what string, n int, b *report.Bound) report.Row {
		return report.Figure(name, what, "", float64(n), b)
	}
	rows := []report.Row{
		count("histories", res.Histories, report.Exactly(float64(want))),
		count("operations", res.Operations, nil),
		count("proposals", res.Proposals, nil),
		count("proposals told of another's value", res.Conflicts, nil),
		count("proposals of unknown outcome", res.Unknown, nil),
		count("reads", res.Reads, nil),
		count("reads that found an empty slot", res.Empty, nil),
		count("histories that no order explains", res.Violating, none),
		count("histories left undecided", res.Undecided, none),
		count("chunks that a client was told of", res.Chosen, nil),
		count("of them not at two acceptors", res.Lost, none),
		count("answers with wrong bytes", res.Wrong, none),
	}
	for _, kind := range slices.Sorted(maps.Keys(res.Faults)) {
		rows = append(rows, count(kind, res.Faults[kind], nil))
	}
	if len(res.Stories) > 0 {
		rows[0].Note = fmt.Sprintf("%d notes:\n%s", len(res.Stories), strings.Join(res.Stories, "\n"))
	}
	return rows, nil
}
