package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/soak"
)

func TestFiguresOfAllTestsAreAddedUpAndHeldToWhatIsWanted(t *testing.T) {
	lines := []soak.Line{
		{Test: "A", Figures: map[string]int64{"schedules": 1_000_000, "violations": 0}},
		{Test: "B", Figures: map[string]int64{"schedules": 234, "mutants": 3, "mutants caught": 3}, Parts: []string{"small: all"}},
	}
	for name, c := range map[string]struct {
		want wanted
		more soak.Line
		err  string // "": none
	}{
		"enough":             {want: wanted{"schedules": 1_000_234}},
		"too few":            {want: wanted{"schedules": 1_000_235}, err: "schedules: 1000234, wanted 1000235"},
		"a test that is not": {want: wanted{"crash points": 1}, err: "crash points: no test told"},
		"a mutant survived":  {more: soak.Line{Figures: map[string]int64{"mutants": 1}}, err: "mutants caught: 3 of 4"},
		"a violation":        {more: soak.Line{Figures: map[string]int64{"violations": 1}}, err: "violations: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := summarize(&out, append(lines[:2:2], c.more), c.want)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, want %q", err, c.err)
			}
			for _, part := range []string{"1,000,234", "B\n  small: all"} {
				if !strings.Contains(out.String(), part) {
					t.Errorf("%q is missing in\n%s", part, out.String())
				}
			}
		})
	}
}

func TestAReportThatNobodyWroteIsAnError(t *testing.T) {
	if err := run(&strings.Builder{}, filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("an absent report passes")
	}
}

func TestTheReportComesBackAsItWasWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	t.Setenv(soak.ReportEnv, file)
	soak.Add(t, map[string]int64{"schedules": 5})
	soak.Add(t, map[string]int64{"schedules": 7}, "a part")
	var out strings.Builder
	if err := run(&out, file, wanted{"schedules": 12}); err != nil || !strings.Contains(out.String(), "a part") {
		t.Errorf("%v\n%s", err, &out)
	}
	if got := grouped(-1234567); got != "-1,234,567" || grouped(12) != "12" {
		t.Errorf("grouped %s", got)
	}
	w := wanted{}
	if w.Set("states=3") != nil || w["states"] != 3 || w.Set("states") == nil {
		t.Errorf("%v", w)
	}
}
