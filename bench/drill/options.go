package drill

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/abuse"
	"github.com/vstack/vstack/bench/drill/given"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
)

// Options say what to run and where.
type Options struct {
	// Given, when set, is the cluster to drill, instead of a lab of the drill's own. Exe,
	// Env, Dir and FirstIP are the lab's.
	Given *given.Cluster
	// Exe is the vstack program that the hosts run. Required without Given.
	Exe string
	// Commit is what the program was built from, for the report. Default: what the Go tools
	// noted in it.
	Commit string
	// Env is added to the hosts' environment.
	Env []string
	// From are the versions that upgrade begins with, in turn: commits of the repository
	// that this directory is in, or files. Default those of LastOfLevel.
	From []string
	// Dir becomes the lab's directory and stays. Default: a temporary one that is
	// removed.
	Dir string
	// FirstIP is the first of the hosts' three addresses. Default 127.0.8.1; where
	// networks are cut, one of a subnet of 198.18.0.0/15 that nobody uses.
	FirstIP string
	// Repeat is how many faults there are. Default 1, or as many as begin within For.
	Repeat int
	// For, when set, is how long faults begin.
	For time.Duration
	// Strangers say which attacks the drill abuse makes, and how.
	Strangers abuse.Options
	// Loads run meanwhile. Nil is all of them.
	Loads []report.Load
	// Pause is how long a paused host stands still, a cut lasts, a disk hangs and a
	// killed host of kill-host stays away. Default: of pauses and cuts drawn anew for
	// each repetition, log-uniformly, from 0.1 to 30 s; of hung-disk 5 s, slow-disk 10 s, kill-host 3 s.
	Pause time.Duration
	// Seed makes the drawing repeatable. Default 1.
	Seed uint64
	// Settle is the healthy time between repetitions. Default 500 ms.
	Settle time.Duration
	// Assertions are judged beside those that hold in every drill.
	Assertions []report.Assertion
	// Progress, when set, is told what happens. Calls do not overlap.
	Progress func(string)
	// Events, when set, is told each event of a repetition as it happens, between calls of
	// Progress.
	Events func(report.Event)
}

const (
	firstLoopback = "127.0.8.1"

	minPause = 100 * time.Millisecond
	maxPause = 30 * time.Second
	// maxRepeat keeps a report readable and in memory.
	maxRepeat = 10_000
)

func (o Options) withDefaults(d Drill) (Options, error) {
	if g := o.Given; g == nil && o.Exe == "" || g != nil && (g.Client == nil || g.Hosts == nil || g.Confirm == nil) {
		return o, fmt.Errorf("drill options: %w: Exe is required, or Given with all that it has", vstack.ErrInvalid)
	}
	if o.Given != nil && (o.Dir != "" || o.FirstIP != "") {
		return o, fmt.Errorf("drill options: %w: given hosts have their directories and addresses", vstack.ErrInvalid)
	}
	if o.Repeat == 0 {
		o.Repeat = 1
		if d.strangers {
			o.Repeat = o.Strangers.Count()
		}
		if o.For > 0 {
			o.Repeat = maxRepeat
		}
	}
	if o.Loads == nil {
		o.Loads = []report.Load{report.LoadMeta, report.LoadUpload, report.LoadPlay}
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Settle == 0 {
		o.Settle = 500 * time.Millisecond
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o, err := o.forDrill(d)
	if err != nil {
		return o, err
	}
	if o.Repeat < 1 || o.Repeat > maxRepeat {
		return o, fmt.Errorf("drill options: %w: %d repetitions, want 1 to %d", vstack.ErrInvalid, o.Repeat, maxRepeat)
	}
	if o.For < 0 {
		return o, fmt.Errorf("drill options: %w: for %v", vstack.ErrInvalid, o.For)
	}
	if o.Pause < 0 || o.Pause > maxPause || o.Settle < 0 {
		return o, fmt.Errorf("drill options: %w: pause %v, settle %v; want 0 to %v and more than 0", vstack.ErrInvalid, o.Pause, o.Settle, maxPause)
	}
	for _, a := range o.Assertions {
		if l := a.Load(); l != "" && !slices.Contains(o.Loads, l) {
			return o, fmt.Errorf("drill options: %w: assertion %s needs the load %s", vstack.ErrInvalid, a.Expr, l)
		}
	}
	return o, nil
}

// forDrill takes what a drill asks for beside what every drill does.
func (o Options) forDrill(d Drill) (Options, error) {
	switch {
	case d.strangers && o.Given != nil:
		return o, fmt.Errorf("drill %s: %w: it needs a lab of its own", d.Name, vstack.ErrInvalid)
	case d.strangers:
		if err := o.Strangers.Check(); err != nil {
			return o, err
		}
		o.Loads = append(slices.Clone(o.Loads), report.LoadStrangers)
	case !d.earlier && len(o.From) > 0:
		return o, fmt.Errorf("drill options: %w: %s begins with no earlier version", vstack.ErrInvalid, d.Name)
	case d.earlier && o.Given != nil:
		return o, fmt.Errorf("drill %s: %w: it needs a lab of its own", d.Name, vstack.ErrInvalid)
	case d.earlier && o.Dir != "" && o.Repeat > 1:
		return o, fmt.Errorf("drill options: %w: each repetition of %s has a lab of its own, Dir is for one", vstack.ErrInvalid, d.Name)
	case d.earlier && len(o.From) == 0:
		for _, level := range slices.Sorted(maps.Keys(LastOfLevel)) {
			o.From = append(o.From, LastOfLevel[level])
		}
	}
	own, err := report.ParseAssertions(d.bounds)
	if err != nil {
		return o, err
	}
	o.Assertions = append(own, o.Assertions...)
	return o, nil
}
