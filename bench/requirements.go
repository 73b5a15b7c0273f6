package bench

import (
	"context"

	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/requirements"
)

// runRequirements measures the eleven promises.
func runRequirements(ctx context.Context, opt Options) ([]report.Row, error) {
	found, err := requirements.Run(ctx, requirements.Options{Dir: opt.Dir, Exe: opt.Exe, FirstIP: opt.FirstIP, Progress: opt.Progress})
	if err != nil {
		return nil, err
	}
	var rows []report.Row
	for _, q := range found {
		row := report.Figure("requirements", q.Name+" (asked: "+q.Asked+")", q.Unit, q.Value, &report.Bound{Op: q.Op, Limit: q.Want})
		row.Note = q.Note
		rows = append(rows, row)
	}
	return rows, nil
}
