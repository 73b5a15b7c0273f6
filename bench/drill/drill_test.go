package drill

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/drill/given"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
)

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no program":           {},
		"no repetitions":       {Exe: "x", Repeat: -1},
		"too many repetitions": {Exe: "x", Repeat: maxRepeat + 1},
		"too long a pause":     {Exe: "x", Pause: maxPause + 1},
		"a bound on no load":   {Exe: "x", Loads: []report.Load{report.LoadPlay}, Assertions: []report.Assertion{{Name: report.WriteGap, Stat: "p99"}}},
	} {
		if _, err := o.withDefaults(Drill{}); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if o, err := (Options{Exe: "x"}).withDefaults(Drill{}); err != nil || len(o.Loads) != 3 || o.Repeat != 1 {
		t.Errorf("%+v %v", o, err)
	}
	if _, err := (Options{Exe: "x", From: []string{"cc9200c"}}).withDefaults(Drill{}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("an earlier version: %v", err)
	}
	upgrade, err := Find("upgrade")
	if err != nil {
		t.Fatal(err)
	}
	if o, err := (Options{Exe: "x"}).withDefaults(upgrade); err != nil || len(o.From) != len(LastOfLevel) || len(o.Assertions) != 3 {
		t.Errorf("%+v %v", o, err)
	}
	if _, err := (Options{Exe: "x", Dir: "lab", Repeat: 2}).withDefaults(upgrade); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("one directory for two labs: %v", err)
	}
}

func TestEachAttackIsARepetition(t *testing.T) {
	abuse, err := Find("abuse")
	if err != nil {
		t.Fatal(err)
	}
	o, err := Options{Exe: "x"}.withDefaults(abuse)
	if err != nil || o.Repeat != o.Strangers.Count() || o.Repeat < 10 || !slices.Contains(o.Loads, report.LoadStrangers) || len(o.Assertions) != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := (Options{Exe: "x", Strangers: o.Strangers, Given: &given.Cluster{}}).withDefaults(abuse); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("of given hosts: %v", err)
	}
	o.Strangers.Attacks = []string{"kindness"}
	if _, err := (Options{Exe: "x", Strangers: o.Strangers}).withDefaults(abuse); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("an attack that nobody knows: %v", err)
	}
}

func TestFindKnowsEveryDrill(t *testing.T) {
	for _, d := range Drills() {
		if got, err := Find(d.Name); err != nil || got.Doc != d.Doc {
			t.Errorf("%s: %v", d.Name, err)
		}
		for _, a := range d.Aliases {
			if got, err := Find(a); err != nil || got.Name != d.Name {
				t.Errorf("%s: %v", a, err)
			}
		}
	}
	if _, err := Find("meteor"); !errors.Is(err, vstack.ErrNotFound) {
		t.Error(err)
	}
}

func TestPausesAreDrawnFromTheirRange(t *testing.T) {
	short := 0
	for n := range 1000 {
		p := drawPause(7, n)
		if p < minPause || p > maxPause {
			t.Fatalf("pause %v", p)
		}
		if p < time.Second {
			short++
		}
		if p != drawPause(7, n) {
			t.Fatal("a seed is no seed")
		}
	}
	// ln(10)/ln(300) of them.
	if short < 340 || short > 470 {
		t.Errorf("%d of 1000 below a second, want about 404", short)
	}
}

// TestEveryLevelHasItsLastCommit fails when a level is added: what it is upgraded from is the
// commit before that.
func TestEveryLevelHasItsLastCommit(t *testing.T) {
	unpublished := []vstack.Level{vstack.LevelFormats, vstack.LevelFragments}
	for level := vstack.LevelFirst; level < vstack.NewestLevel; level++ {
		if LastOfLevel[level] == "" && !slices.Contains(unpublished, level) {
			t.Errorf("no last commit of level %d", level)
		}
	}
}
