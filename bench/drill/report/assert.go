package report

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Assertion is a bound on a figure: "write_gap.p99<1.2s", "stalls==0".
//
//	timing:  NAME "." STAT OP DURATION     STAT: min mean p50 p90 p95 p99 p999 max
//	counter: NAME OP NUMBER                OP: < <= > >= ==
type Assertion struct {
	Expr  string // as it was written, without spaces
	Name  string
	Stat  string // empty for a counter
	Op    string
	Limit float64 // seconds, or a number
}

// Verdict is what an assertion came to.
type Verdict struct {
	Expr string `json:"expr"`
	// Value is what was measured, in seconds or as a number; nil when nothing was.
	Value *float64 `json:"value"`
	Held  bool     `json:"held"`
}

var (
	assertion = regexp.MustCompile(`^([a-z_]+)(?:\.([a-z0-9]+))?(<=|>=|==|<|>)(\S+)$`)
	stats     = []string{"min", "mean", "p50", "p90", "p95", "p99", "p999", "max"}
)

// ParseAssertion reads one bound.
func ParseAssertion(s string) (Assertion, error) {
	expr := strings.ReplaceAll(s, " ", "")
	bad := func(format string, args ...any) (Assertion, error) {
		return Assertion{}, fmt.Errorf("assertion %.80q: %w: %s", s, vstack.ErrInvalid, fmt.Sprintf(format, args...))
	}
	m := assertion.FindStringSubmatch(expr)
	if m == nil {
		return bad("want NAME.STAT<DURATION or NAME==NUMBER, as write_gap.p99<1.2s")
	}
	a := Assertion{Expr: expr, Name: m[1], Stat: m[2], Op: m[3]}
	named := func(list []metric) bool {
		return slices.ContainsFunc(list, func(m metric) bool { return m.name == a.Name })
	}
	switch {
	case named(timings):
		if !slices.Contains(stats, a.Stat) {
			return bad("%s is a timing: want one of %s after a dot", a.Name, strings.Join(stats, ", "))
		}
		d, err := time.ParseDuration(m[4])
		if err != nil || d < 0 {
			return bad("%q is no duration as 1.2s or 300ms", m[4])
		}
		a.Limit = d.Seconds()
	case named(counters):
		if a.Stat != "" {
			return bad("%s is a counter, it has no %s", a.Name, a.Stat)
		}
		n, err := strconv.ParseUint(m[4], 10, 53)
		if err != nil {
			return bad("%q is no whole number", m[4])
		}
		a.Limit = float64(n)
	default:
		return bad("no figure is called %s; there are %s", a.Name, strings.Join(names(), ", "))
	}
	return a, nil
}

// ParseAssertions reads a list of them.
func ParseAssertions(list []string) ([]Assertion, error) {
	var out []Assertion
	for _, s := range list {
		a, err := ParseAssertion(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func names() []string {
	var out []string
	for _, m := range append(slices.Clone(timings), counters...) {
		out = append(out, m.name)
	}
	return out
}

// Load is the load that gives the figure; empty when every run does.
func (a Assertion) Load() Load {
	for _, m := range append(slices.Clone(timings), counters...) {
		if m.name == a.Name {
			return m.load
		}
	}
	return ""
}

// judge compares a report's figure. A figure that nothing was measured of misses
// every bound.
func (a Assertion) judge(r *Report) Verdict {
	v := Verdict{Expr: a.Expr}
	for _, t := range r.Timings {
		if t.Name == a.Name && t.Count > 0 {
			s := t.stat(a.Stat)
			v.Value = &s
		}
	}
	for _, c := range r.Counters {
		if c.Name == a.Name && (c.Value > 0 || r.tried(a.Name)) {
			n := float64(c.Value)
			v.Value = &n
		}
	}
	v.Held = v.Value != nil && compare(*v.Value, a.Op, a.Limit)
	return v
}

// tried reports whether what a counter counts could have happened: that no playback failed
// says nothing where none ended.
func (r *Report) tried(name string) bool {
	of, ok := occasions[name]
	return !ok || slices.ContainsFunc(r.Counters, func(c Counter) bool { return c.Name == of && c.Value > 0 })
}

func compare(v float64, op string, limit float64) bool {
	switch op {
	case "<":
		return v < limit
	case "<=":
		return v <= limit
	case ">":
		return v > limit
	case ">=":
		return v >= limit
	}
	return v == limit
}

// defaultAssertions hold in every drill: nothing that was acknowledged is lost, no
// linearizable read is stale, no client was failed, and no viewer waited, unless mayStall.
func defaultAssertions(loads []Load, mayStall bool) []Assertion {
	var out []Assertion
	for _, name := range []string{LostWrites, StaleReads, Violations, Undecided, WriteFailed, UploadFailed, LostPublishes, PlayFailed, Stalls} {
		if name == Stalls && mayStall {
			continue
		}
		a := Assertion{Expr: name + "==0", Name: name, Op: "=="}
		if slices.Contains(loads, a.Load()) {
			out = append(out, a)
		}
	}
	return out
}
