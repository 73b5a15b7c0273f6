package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

// schema is the version of Report as JSON. Fields are only ever added within one.
const schema = 1

// Report is the outcome of a run. Times are in seconds.
type Report struct {
	Schema  int       `json:"schema"`
	Drill   string    `json:"drill"`
	Doc     string    `json:"doc"`
	Began   time.Time `json:"began"`
	Took    float64   `json:"took"`
	Machine Machine   `json:"machine"`
	Repeat  int       `json:"repeat"` // asked for
	// Given are the hosts of a cluster that was there; absent where the drill ran a lab of
	// its own.
	Given []vstack.HostID `json:"given,omitempty"`
	// From are the commits or files of the earlier programs that labs were made by, in turn.
	From        []string     `json:"from,omitempty"`
	Loads       []Load       `json:"loads"`
	Pause       float64      `json:"pause"` // 0: the drill's own
	Seed        uint64       `json:"seed"`
	Verdicts    []Verdict    `json:"verdicts"`
	Timings     []Timing     `json:"timings"`
	Counters    []Counter    `json:"counters"`
	Repetitions []Repetition `json:"repetitions"`
	// Failures are what must not have happened, in words; the first 200.
	Failures []string `json:"failures"`
	// Notes are what clients bore without failing; the first 200.
	Notes []string `json:"notes"`

	assertions []Assertion
}

// Machine is where the drill ran: its figures mean little elsewhere.
type Machine struct {
	Commit string `json:"commit"`
	Go     string `json:"go"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	// LoadBefore and LoadAfter are the load averages over a minute, the drill's own
	// work included in the latter.
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

// Params say what a report is of.
type Params struct {
	Drill, Doc string
	Given      []vstack.HostID
	Repeat     int
	Loads      []Load
	Pause      time.Duration
	Seed       uint64
	// Commit is what the program was built from; empty: what the Go tools noted in it.
	Commit string
	// MayStall says that viewers may stall in this drill.
	MayStall bool
	// Assertions are judged beside those that hold in every drill.
	Assertions []Assertion
}

// New begins a report: the time counts from here.
func New(p Params) *Report {
	r := &Report{
		Schema: schema, Drill: p.Drill, Doc: p.Doc, Began: time.Now().UTC(), Repeat: p.Repeat, Given: p.Given, Loads: p.Loads,
		Pause: p.Pause.Seconds(), Seed: p.Seed, assertions: append(defaultAssertions(p.Loads, p.MayStall), p.Assertions...),
		Repetitions: []Repetition{}, Failures: []string{}, Notes: []string{},
	}
	r.Machine = Machine{Commit: "unknown", Go: runtime.Version(), CPUs: runtime.NumCPU(), Kernel: firstWord("/proc/sys/kernel/osrelease"), LoadBefore: firstWord("/proc/loadavg")}
	if p.Commit != "" {
		r.Machine.Commit = p.Commit
	} else if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				r.Machine.Commit = s.Value
			}
		}
	}
	return r
}

// firstWord of a file; empty when there is none.
func firstWord(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	word, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	return word
}

// Finish takes what was recorded and judges it.
func (r *Report) Finish(rec *Recorder) {
	r.Took = time.Since(r.Began).Seconds()
	r.Machine.LoadAfter = firstWord("/proc/loadavg")
	r.Timings, r.Counters = rec.tally.figures(r.Loads)
	rec.mu.Lock()
	r.Failures, r.Notes = append(r.Failures, rec.failures...), append(r.Notes, rec.notes...)
	rec.mu.Unlock()
	r.judge()
}

func (r *Report) judge() {
	r.Verdicts = []Verdict{}
	for _, a := range r.assertions {
		r.Verdicts = append(r.Verdicts, a.judge(r))
	}
}

// Missed returns the verdicts of bounds that did not hold.
func (r *Report) Missed() []Verdict {
	var out []Verdict
	for _, v := range r.Verdicts {
		if !v.Held {
			out = append(out, v)
		}
	}
	return out
}

// String is the verdict for people: "write_gap.p99<1.2s: 1.31 s".
func (v Verdict) String() string { return v.Expr + ": " + v.Measured() }

// Measured is the value for people.
func (v Verdict) Measured() string {
	if v.Value == nil {
		return "nothing measured"
	}
	if strings.Contains(v.Expr, ".") && timed(v.Expr) {
		return Seconds(*v.Value)
	}
	return fmt.Sprintf("%.0f", *v.Value)
}

// timed reports whether an expression is about a timing.
func timed(expr string) bool {
	for _, m := range timings {
		if strings.HasPrefix(expr, m.name+".") {
			return true
		}
	}
	return false
}

// Err is nil when every bound held, else an ErrBound that lists those that did not.
func (r *Report) Err() error {
	var list []string
	for _, v := range r.Missed() {
		list = append(list, v.String())
	}
	if list == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", console.ErrBound, strings.Join(list, "; "))
}

// Table is the distribution of every timing for people.
func (r *Report) Table() console.Table {
	t := console.Table{Head: []string{"timing", "count", "p50", "p90", "p99", "max"}, Right: []int{1, 2, 3, 4, 5}}
	for _, x := range r.Timings {
		row := []any{x.Name, x.Count, "-", "-", "-", "-"}
		if x.Count > 0 {
			row = []any{x.Name, x.Count, Seconds(x.P50), Seconds(x.P90), Seconds(x.P99), Seconds(x.Max)}
		}
		t.Rows = append(t.Rows, row)
	}
	for _, c := range r.Counters {
		t.Rows = append(t.Rows, []any{c.Name, c.Value})
	}
	lines := []string{""}
	for _, v := range r.Verdicts {
		word := "held  "
		if !v.Held {
			word = "MISSED"
		}
		lines = append(lines, word+"  "+v.String())
	}
	t.Foot = strings.Join(lines, "\n")
	return t
}

// Line is one repetition for people, while the drill runs.
func (r Repetition) Line() string {
	show := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return Seconds(*v)
	}
	out := fmt.Sprintf("leader %s, first write %s, write gap %s, healed %s", show(r.LeaderGap), show(r.FirstWrite), show(r.WriteGap), show(r.Heal))
	if len(r.Victims) == 1 {
		out = fmt.Sprintf("%s: %s", r.Victims[0], out)
	}
	return out
}

// WriteFile writes the report as its name ends: .html for people, .json for programs.
func (r *Report) WriteFile(path string) error {
	write, err := writerOf(path)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := write(r, f); err != nil {
		f.Close()
		return fmt.Errorf("write report %s: %w", path, err)
	}
	return f.Close()
}

// CheckFile refuses a report's name before the drill has run for nothing.
func CheckFile(path string) error {
	_, err := writerOf(path)
	return err
}

func writerOf(path string) (func(*Report, io.Writer) error, error) {
	switch filepath.Ext(path) {
	case ".json":
		return (*Report).WriteJSON, nil
	case ".html", ".htm":
		return (*Report).WriteHTML, nil
	}
	return nil, fmt.Errorf("report %s: %w: want a name that ends in .html or .json", path, vstack.ErrInvalid)
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
