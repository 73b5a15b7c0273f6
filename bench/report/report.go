package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/paired"
)

// Bound is what a row has to reach: the judged figure (the median ratio where there
// is a baseline, else the median of ours) compared by Op with Limit.
type Bound struct {
	Op    string  `json:"op"` // ">=", "<=" or "=="; "1 ±": as near to 1
	Limit float64 `json:"limit"`
}

// AtMost is the bound that a judged figure is no more than limit.
func AtMost(limit float64) *Bound { return &Bound{"<=", limit} }

// AtLeast is the bound that it is no less.
func AtLeast(limit float64) *Bound { return &Bound{">=", limit} }

// Exactly is the bound that it is that.
func Exactly(value float64) *Bound { return &Bound{"==", value} }

// Near is the bound that it is within off of 1.
func Near(off float64) *Bound { return &Bound{"1 ±", off} }

func (b Bound) String() string { return fmt.Sprintf("%s %g", b.Op, b.Limit) }

// Holds reports whether v satisfies the bound.
func (b Bound) Holds(v float64) bool {
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
	Scenario string        `json:"scenario"`
	Name     string        `json:"name"`
	Unit     string        `json:"unit"`
	Baseline string        `json:"baseline,omitempty"` // what Base is; empty: a figure alone
	Pairs    []paired.Pair `json:"pairs"`
	Bound    *Bound        `json:"bound,omitempty"`
	Note     string        `json:"note,omitempty"`
}

// Judged is the figure that Bound judges.
func (r Row) Judged() float64 {
	if r.Baseline == "" {
		return paired.Quantile(paired.Column(r.Pairs, func(p paired.Pair) float64 { return p.Ours }), 0.5)
	}
	return paired.Quantile(r.ratios(), 0.5)
}

// Reached reports whether the bound holds; a row without a bound always does.
func (r Row) Reached() bool { return r.Bound == nil || r.Bound.Holds(r.Judged()) }

func (r Row) ratios() []float64 {
	return paired.Column(r.Pairs, func(p paired.Pair) float64 { return p.Ours / p.Base })
}

// Ratioless reports whether a baseline's figure is 0, so that only differences mean something.
func (r Row) Ratioless() bool {
	return slices.ContainsFunc(r.Pairs, func(p paired.Pair) bool { return p.Base == 0 })
}

// Interval is the mean ratio of the pairs, or their mean difference where there is no ratio,
// with the bounds between which it lies in 95 of 100 drawings of the pairs.
func (r Row) Interval() paired.Interval {
	if r.Ratioless() {
		return paired.Bootstrap(paired.Column(r.Pairs, func(p paired.Pair) float64 { return p.Ours - p.Base }))
	}
	return paired.Bootstrap(r.ratios())
}

// Figure makes a row without a baseline.
func Figure(scenario, name, unit string, v float64, b *Bound) Row {
	return Row{Scenario: scenario, Name: name, Unit: unit, Pairs: []paired.Pair{{Ours: v}}, Bound: b}
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

// New describes the machine and the build; the commit may be empty for what Go knows of it.
func New(commit string) *Report {
	r := &Report{Time: time.Now().UTC(), Go: runtime.Version(), CPUs: runtime.NumCPU(), Commit: cmp.Or(commit, "unknown")}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && commit == "" {
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
func (r *Report) Save(path string) error { return save(path, r.WriteJSON) }

// SavePage writes the report to a file, as a page.
func (r *Report) SavePage(path string) error { return save(path, r.WriteHTML) }

func save(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
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

// Read reads what WriteJSON wrote.
func Read(path string) (*Report, error) {
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
