package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/vstack/vstack/bench/paired"
)

//go:embed page.html.tmpl
var page string

// Sizes of a drawing, in the units of its viewBox.
const (
	plotWidth = 640.0
	plotLeft  = 8.0
	plotRight = 8.0
)

// WriteHTML writes the report as one page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"short": short}).Parse(page)
	if err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	var parts []part
	for _, row := range r.Rows {
		if len(parts) == 0 || parts[len(parts)-1].Scenario != row.Scenario {
			parts = append(parts, part{Scenario: row.Scenario})
		}
		p := &parts[len(parts)-1]
		p.Rows = append(p.Rows, draw(row))
	}
	return t.Execute(w, struct {
		*Report
		Parts  []part
		Bounds int
	}{r, parts, bounds(r.Rows)})
}

func bounds(rows []Row) (n int) {
	for _, row := range rows {
		if row.Bound != nil {
			n++
		}
	}
	return n
}

type (
	// part is the rows of one scenario.
	part struct {
		Scenario string
		Rows     []drawing
	}
	// drawing is a row with its dots on one axis from 0.
	drawing struct {
		Row
		Ours, Base []float64 // places of the figures
		OursAt     float64   // of their medians
		BaseAt     float64
		OursValue  float64
		BaseValue  float64
		Beside     string
		Interval   paired.Interval
		Ticks      []tick
		LimitAt    float64 // of a bound on a figure alone; below 0: none
	}
	tick struct {
		X    float64
		Text string
	}
)

// draw places a row's figures.
func draw(row Row) drawing {
	d := drawing{Row: row, LimitAt: -1}
	ours := paired.Column(row.Pairs, func(p paired.Pair) float64 { return p.Ours })
	d.OursValue = paired.Quantile(ours, 0.5)
	end := 0.0
	for _, v := range ours {
		end = math.Max(end, v)
	}
	var base []float64
	if row.Baseline != "" {
		base = paired.Column(row.Pairs, func(p paired.Pair) float64 { return p.Base })
		d.BaseValue, d.Beside, d.Interval = paired.Quantile(base, 0.5), row.beside(), row.Interval()
		for _, v := range base {
			end = math.Max(end, v)
		}
	} else if row.Bound != nil {
		end = math.Max(end, row.Bound.Limit)
	}
	if end <= 0 || math.IsInf(end, 0) || math.IsNaN(end) {
		end = 1
	}
	at := func(v float64) float64 {
		return plotLeft + math.Max(0, math.Min(v/(end*1.04), 1))*(plotWidth-plotLeft-plotRight)
	}
	for _, v := range ours {
		d.Ours = append(d.Ours, at(v))
	}
	for _, v := range base {
		d.Base = append(d.Base, at(v))
	}
	d.OursAt, d.BaseAt = at(d.OursValue), at(d.BaseValue)
	if row.Baseline == "" && row.Bound != nil {
		d.LimitAt = at(row.Bound.Limit)
	}
	d.Ticks = ticks(end*1.04, at)
	return d
}

// ticks are about six round values from 0 to end.
func ticks(end float64, at func(float64) float64) (out []tick) {
	step := math.Pow(10, math.Floor(math.Log10(end/6)))
	for _, f := range []float64{1, 2, 5, 10} {
		if end/(step*f) <= 6 {
			step *= f
			break
		}
	}
	for i := 0; float64(i)*step <= end; i++ {
		out = append(out, tick{at(float64(i) * step), fmt.Sprintf("%g", math.Round(float64(i)*step*1e6)/1e6)})
	}
	return out
}
