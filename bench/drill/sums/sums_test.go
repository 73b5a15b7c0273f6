package sums

import (
	"fmt"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
)

func TestSumsFindAMemberWithAnotherCatalog(t *testing.T) {
	rec := report.NewRecorder(func(string) {})
	c := &Sums{rec: rec, told: map[uint64]sum{}, agreed: map[string]time.Time{"a": {}, "b": {}, "c": {}}}
	began := time.Now()
	counts := func() map[string]int64 {
		r := report.New(report.Params{Loads: []report.Load{report.LoadMeta}})
		r.Finish(rec)
		out := map[string]int64{}
		for _, c := range r.Counters {
			out[c.Name] = c.Value
		}
		return out
	}
	c.add("a", 7, "one")
	c.add("a", 7, "one") // the same member again tells nothing
	if c.late(began) == "" {
		t.Error("nobody was compared")
	}
	c.add("b", 7, "one")
	if got := c.late(began); got != "c" {
		t.Errorf("%q is late, want c", got)
	}
	c.add("c", 7, "one")
	if got := c.late(began); got != "" {
		t.Errorf("%q is late, want none", got)
	}
	if n := counts(); n[report.Checksums] != 2 || n[report.ChecksumSplits] != 0 {
		t.Error(n)
	}
	c.add("c", 8, "two")
	c.add("a", 8, "one")
	if n := counts(); n[report.ChecksumSplits] != 1 {
		t.Error(n)
	}
	for i := range uint64(4 * kept) {
		c.add("a", 100+i, fmt.Sprint(i))
	}
	if len(c.told) > 2*kept {
		t.Errorf("%d indices are kept, want at most %d", len(c.told), 2*kept)
	}
}
