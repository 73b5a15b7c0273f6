package report

import (
	"fmt"
	"io"
	"math"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/vstack/vstack/bench/paired"
)

// WriteTable writes the rows for a person: median of ours and of the baseline, the
// median ratio with its quartiles, the bound and whether it was reached.
func (r *Report) WriteTable(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"scenario", "measure", "ours", "baseline", "unit", "ratio (q1–q3), or difference", "bound", ""})
	for _, row := range r.Rows {
		base, ratio := "", ""
		if row.Baseline != "" {
			base = short(paired.Quantile(paired.Column(row.Pairs, func(p paired.Pair) float64 { return p.Base }), 0.5))
			ratio = row.beside()
		}
		bound, verdict := "", ""
		if row.Bound != nil {
			bound, verdict = row.Bound.String(), "reached"
			if !row.Reached() {
				verdict = "MISSED"
			}
		}
		ours := short(paired.Quantile(paired.Column(row.Pairs, func(p paired.Pair) float64 { return p.Ours }), 0.5))
		t.AppendRow(table.Row{row.Scenario, row.Name, ours, base, row.Unit, ratio, bound, verdict})
	}
	t.Render()
	for _, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(w, "%s, %s: %s\n", row.Scenario, row.Name, row.Note)
		}
	}
}

// beside is ours beside the baseline's, in words.
func (r Row) beside() string {
	if r.Ratioless() {
		i := r.Interval()
		return fmt.Sprintf("%+.2f (%+.2f to %+.2f)", i.Mean, i.Low, i.High)
	}
	rs := r.ratios()
	return fmt.Sprintf("%.3f (%.3f–%.3f)", paired.Quantile(rs, 0.5), paired.Quantile(rs, 0.25), paired.Quantile(rs, 0.75))
}

// Compare writes the rows that two reports share, with the ratio of their judged figures.
func Compare(w io.Writer, a, b *Report) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"scenario", "measure", a.Commit, b.Commit, "new/old"})
	for _, ra := range a.Rows {
		for _, rb := range b.Rows {
			if ra.Scenario == rb.Scenario && ra.Name == rb.Name {
				t.AppendRow(table.Row{ra.Scenario, ra.Name, short(ra.Judged()), short(rb.Judged()), short(rb.Judged() / ra.Judged())})
			}
		}
	}
	t.Render()
}

// short prints a figure with as many digits as a person reads.
func short(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–" // nothing was measured
	case a >= 1000 || v == math.Trunc(v) && a >= 1:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
