package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Bound is what a row has to reach: the judged figure (the median ratio where there
// is a baseline, else the median of ours) compared by Op with Limit.
type Bound struct {
	Op    string  `json:"op"` // ">=", "<=" or "=="; "1 ±": as near to 1
	Limit float64 `json:"limit"`
}

func (b Bound) String() string { return fmt.Sprintf("%s %g", b.Op, b.Limit) }

// holds reports whether v satisfies the bound.
func (b Bound) holds(v float64) bool {
	switch b.Op {
	case ">=":
		return v >= b.Limit
	case "<=":
		return v <= b.Limit
	case "==":
		return v == b.Limit
	case "1 ±":
		return math.Abs(v-1) <= b.Limit
	}
	return false
}

// Row is one comparison, or one figure without a baseline.
type Row struct {
	Scenario string `json:"scenario"`
	Name     string `json:"name"`
	Unit     string `json:"unit"`
	Baseline string `json:"baseline,omitempty"` // what Base is; empty: a figure alone
	Pairs    []Pair `json:"pairs"`
	Bound    *Bound `json:"bound,omitempty"`
	Note     string `json:"note,omitempty"`
}

// Judged is the figure that Bound judges.
func (r Row) Judged() float64 {
	if r.Baseline == "" {
		return quantile(column(r.Pairs, func(p Pair) float64 { return p.Ours }), 0.5)
	}
	return quantile(r.ratios(), 0.5)
}

// Reached reports whether the bound holds; a row without a bound always does.
func (r Row) Reached() bool { return r.Bound == nil || r.Bound.holds(r.Judged()) }

func (r Row) ratios() []float64 {
	return column(r.Pairs, func(p Pair) float64 { return p.Ours / p.Base })
}

// figure makes a row without a baseline.
func figure(scenario, name, unit string, v float64, b *Bound) Row {
	return Row{Scenario: scenario, Name: name, Unit: unit, Pairs: []Pair{{Ours: v}}, Bound: b}
}

// Report is the outcome of a run.
type Report struct {
	Time   time.Time `json:"time"`
	Commit string    `json:"commit"`
	Go     string    `json:"go"`
	CPUs   int       `json:"cpus"`
	Kernel string    `json:"kernel"`
	Rows   []Row     `json:"rows"`
}

// newReport describes the machine and the build.
func newReport() *Report {
	r := &Report{Time: time.Now().UTC(), Go: runtime.Version(), CPUs: runtime.NumCPU(), Commit: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				r.Commit = s.Value
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		r.Kernel = strings.TrimSpace(string(b))
	}
	return r
}

// Missed returns the rows whose bound does not hold.
func (r *Report) Missed() []Row {
	var out []Row
	for _, row := range r.Rows {
		if !row.Reached() {
			out = append(out, row)
		}
	}
	return out
}

// MissedText names the missed bounds in one line; empty when all were reached.
func (r *Report) MissedText() string {
	var names []string
	for _, row := range r.Missed() {
		names = append(names, fmt.Sprintf("%s %s: %.3g, want %s", row.Scenario, row.Name, row.Judged(), row.Bound))
	}
	return strings.Join(names, "; ")
}

// Save writes the report to a file, as JSON.
func (r *Report) Save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := errors.Join(r.WriteJSON(f), f.Close()); err != nil {
		return fmt.Errorf("write report %s: %w", path, err)
	}
	return nil
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// ReadReport reads what WriteJSON wrote.
func ReadReport(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	return r, nil
}

// WriteTable writes the rows for a person: median of ours and of the baseline, the
// median ratio with its quartiles, the bound and whether it was reached.
func (r *Report) WriteTable(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"scenario", "measure", "ours", "baseline", "unit", "ratio (q1–q3)", "bound", ""})
	for _, row := range r.Rows {
		base, ratio := "", ""
		if row.Baseline != "" {
			base = short(quantile(column(row.Pairs, func(p Pair) float64 { return p.Base }), 0.5))
			rs := row.ratios()
			ratio = fmt.Sprintf("%.3f (%.3f–%.3f)", quantile(rs, 0.5), quantile(rs, 0.25), quantile(rs, 0.75))
		}
		bound, verdict := "", ""
		if row.Bound != nil {
			bound, verdict = row.Bound.String(), "reached"
			if !row.Reached() {
				verdict = "MISSED"
			}
		}
		ours := short(quantile(column(row.Pairs, func(p Pair) float64 { return p.Ours }), 0.5))
		t.AppendRow(table.Row{row.Scenario, row.Name, ours, base, row.Unit, ratio, bound, verdict})
	}
	t.Render()
	for _, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(w, "%s, %s: %s\n", row.Scenario, row.Name, row.Note)
		}
	}
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
	case a >= 1000 || v == math.Trunc(v) && a >= 1:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
