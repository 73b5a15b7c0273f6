package rig

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestPairsAlternateAndKeepTheirSides(t *testing.T) {
	var order []string
	side := func(name string, v float64) Measure {
		return func(context.Context) (float64, error) { order = append(order, name); return v, nil }
	}
	ps, err := Pairs(context.Background(), 3, side("o", 2), side("b", 4))
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
	if _, err := Pairs(context.Background(), 1, good, bad); !errors.Is(err, boom) {
		t.Errorf("got %v, want boom", err)
	}
}
