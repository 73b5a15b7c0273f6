package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/bench/paired"
)

func TestRowIsJudgedByItsMedianRatio(t *testing.T) {
	row := Row{Baseline: "bare", Pairs: []paired.Pair{{Ours: 9, Base: 10}, {Ours: 80, Base: 100}, {Ours: 95, Base: 100}}, Bound: AtLeast(0.9)}
	if got := row.Judged(); got != 0.9 {
		t.Errorf("judged %g, want 0.9", got)
	}
	if !row.Reached() {
		t.Error("0.9 >= 0.9 was not reached")
	}
	row.Pairs[0].Ours = 8
	if row.Reached() {
		t.Error("a median of 0.8 reached >= 0.9")
	}
}

func TestReportRoundTripsAndShowsMisses(t *testing.T) {
	r := New("")
	r.Rows = []Row{Figure("s", "kept", "ms", 3, AtMost(5)), Figure("s", "missed", "ms", 9, AtMost(5))}
	var js, tab bytes.Buffer
	if err := r.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, js.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if missed := back.Missed(); len(missed) != 1 || missed[0].Name != "missed" {
		t.Errorf("missed rows %+v, want the one named missed", missed)
	}
	back.WriteTable(&tab)
	if !strings.Contains(tab.String(), "MISSED") {
		t.Errorf("table hides the miss:\n%s", tab.String())
	}
}

func TestAPageShowsEveryRowAndNeedsNothingElse(t *testing.T) {
	r := New("")
	r.Rows = []Row{
		{Scenario: "playback", Name: "slow: first picture", Unit: "s", Baseline: "round-robin", Pairs: []paired.Pair{{Ours: 0.2, Base: 0.4}, {Ours: 0.3, Base: 0.5}}},
		{Scenario: "playback", Name: "slow: stalls", Unit: "s", Baseline: "round-robin", Pairs: []paired.Pair{{Ours: 0, Base: 0}, {Ours: 0, Base: 4}}},
		Figure("put", "rate <b>", "MB/s", 9, AtLeast(10)),
		{Scenario: "links", Name: "by no right", Note: "not measured: forbidden"},
	}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{"slow: first picture", "ratio 0.550", "difference -2.00", "1 bound missed", "missed &gt;= 10", "rate &lt;b&gt;", "not measured: forbidden"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, not := range []string{"http://", "https://", "<script", "NaN"} {
		if strings.Contains(text, not) {
			t.Errorf("the page has %q", not)
		}
	}
}
