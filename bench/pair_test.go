package bench

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func TestPairsAlternateAndKeepTheirSides(t *testing.T) {
	var order []string
	side := func(name string, v float64) measure {
		return func(context.Context) (float64, error) { order = append(order, name); return v, nil }
	}
	ps, err := pairs(context.Background(), 3, side("o", 2), side("b", 4))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order[2:], ""); got != "obboob" {
		t.Errorf("recorded rounds ran as %q, want obboob", got)
	}
	for _, p := range ps {
		if p.Ours != 2 || p.Base != 4 {
			t.Errorf("pair %+v: want ours 2, base 4", p)
		}
	}
}

func TestPairsReportTheFirstError(t *testing.T) {
	boom := errors.New("boom")
	good := func(context.Context) (float64, error) { return 1, nil }
	bad := func(context.Context) (float64, error) { return 0, boom }
	if _, err := pairs(context.Background(), 1, good, bad); !errors.Is(err, boom) {
		t.Errorf("got %v, want boom", err)
	}
}

func TestQuantileInterpolates(t *testing.T) {
	vs := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4, 0.25: 1.75} {
		if got := quantile(vs, q); got != want {
			t.Errorf("quantile %g = %g, want %g", q, got, want)
		}
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("quantile of nothing is a number")
	}
}

func TestRowIsJudgedByItsMedianRatio(t *testing.T) {
	row := Row{Baseline: "bare", Pairs: []Pair{{9, 10}, {80, 100}, {95, 100}}, Bound: &Bound{">=", 0.9}}
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
	r := newReport()
	r.Rows = []Row{figure("s", "kept", "ms", 3, &Bound{"<=", 5}), figure("s", "missed", "ms", 9, &Bound{"<=", 5})}
	var js, tab bytes.Buffer
	if err := r.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "r.json")
	writeFile(t, path, js.Bytes())
	back, err := ReadReport(path)
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
