package bench

import (
	"context"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/moving"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/internal/vstack"
)

// movingRound is how long films are read for each of --rounds.
const movingRound = 10 * time.Second

// runMoving has films flip between copies and fragments by their views while they are read.
func runMoving(ctx context.Context, opt Options) ([]report.Row, error) {
	const name = "moving"
	res, err := moving.Run(ctx, moving.Options{Dir: opt.Dir, Exe: opt.Exe, FirstIP: opt.FirstIP, For: time.Duration(opt.Rounds) * movingRound, Progress: opt.Progress})
	if err != nil {
		return nil, err
	}
	rows := []report.Row{
		report.Figure(name, "reads that failed", "", float64(res.Failed), report.Exactly(0)),
		report.Figure(name, "reads of other bytes", "", float64(res.Wrong), report.Exactly(0)),
		report.Figure(name, "steps of classes seen", "", float64(res.Steps), report.AtLeast(4)),
		report.Figure(name, "reads while a host was away", "", float64(res.Beside), report.AtLeast(1)),
	}
	rows[0].Note = strings.Join(res.Faults, "\n")
	for _, class := range []vstack.StorageClass{vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming} {
		rows = append(rows, report.Figure(name, "reads of films "+string(class), "", float64(res.Reads[class]), report.AtLeast(1)))
	}
	for _, way := range []string{"whole", "range", "client"} {
		rows = append(rows, report.Figure(name, "reads of the way "+way, "", float64(res.Ways[way]), nil))
	}
	return rows, nil
}
