package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/drill/linear"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
)

// told is what a recorder counted, and what it says in words.
func told(rec *report.Recorder) (map[string]int64, string) {
	r := report.New(report.Params{Loads: []report.Load{report.LoadMeta}})
	r.Finish(rec)
	out := map[string]int64{}
	for _, c := range r.Counters {
		out[c.Name] = c.Value
	}
	return out, strings.Join(r.Failures, "\n")
}

func (h *histories) cutAll(held map[vstack.VideoID]uint64, rs ...*register) {
	h.gate.Lock()
	defer h.gate.Unlock()
	h.cut(rs, held)
}

func TestWindowsAreChecked(t *testing.T) {
	fine := func() error { return nil }
	late := func() error { return context.DeadlineExceeded }
	returns := func(n uint64) func() (uint64, error) { return func() (uint64, error) { return n, nil } }
	refused := func() (uint64, error) { return 0, errors.New("no leader") }
	for name, tc := range map[string]struct {
		run        func(h *histories, r *register)
		violations int64
		operations int64
	}{
		"a true register": {func(h *histories, r *register) {
			_ = h.write(r, "a", 1, fine)
			_, _ = h.read(r, "r", returns(1))
			_, _ = h.read(r, "r", refused) // tells nothing
		}, 0, 2},
		"a stale read": {func(h *histories, r *register) {
			_ = h.write(r, "a", 1, fine)
			_ = h.write(r, "b", 2, fine)
			_, _ = h.read(r, "r", returns(1))
		}, 1, 3},
		"a write whose client left may happen in the next window": {func(h *histories, r *register) {
			_ = h.write(r, "a", 1, late)
			_, _ = h.read(r, "r", returns(0))
			h.cutAll(map[vstack.VideoID]uint64{r.video: 0}, r)
			_, _ = h.read(r, "r", returns(0))
			_, _ = h.read(r, "r", returns(1))
		}, 0, 5},
		"an acknowledged write may not": {func(h *histories, r *register) {
			_ = h.write(r, "a", 1, fine)
			_ = h.write(r, "a", 2, fine)
			h.cutAll(map[vstack.VideoID]uint64{r.video: 2}, r)
			_, _ = h.read(r, "r", returns(1))
		}, 1, 3},
		"the next window begins with what was found": {func(h *histories, r *register) {
			h.cutAll(map[vstack.VideoID]uint64{r.video: 7}, r)
			_, _ = h.read(r, "r", returns(7))
		}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			rec := report.NewRecorder(func(string) {})
			h, r := newHistories(rec), &register{video: vstack.VideoID{1}}
			tc.run(h, r)
			h.cutAll(nil, r)
			h.close()
			got, words := told(rec)
			if got[report.Violations] != tc.violations || got[report.Operations] != tc.operations || got[report.Undecided] != 0 || got[report.Histories] == 0 {
				t.Errorf("%v\n%s", got, words)
			}
			if tc.violations > 0 && !strings.Contains(words, "reads  1") {
				t.Errorf("the stale read is not told: %s", words)
			}
		})
	}
}

func TestTooLongAHistoryIsUndecided(t *testing.T) {
	rec := report.NewRecorder(func(string) {})
	h, r := newHistories(rec), &register{}
	for range maxOps + 1 {
		r.record(linear.Op{})
	}
	h.cutAll(nil, r)
	h.close()
	if got, _ := told(rec); got[report.Undecided] != 1 || got[report.Violations] != 0 {
		t.Error(got)
	}
}

func TestCutWaitsForWhatIsUnderWay(t *testing.T) {
	h, r := newHistories(report.NewRecorder(func(string) {})), &register{}
	defer h.close()
	began, end := make(chan struct{}), make(chan struct{})
	go func() {
		_ = h.write(r, "a", 1, func() error { close(began); <-end; return nil })
	}()
	<-began
	cut := make(chan struct{})
	go func() { h.cutAll(nil, r); close(cut) }()
	select {
	case <-cut:
		t.Error("a window ended amid a write")
	case <-time.After(50 * time.Millisecond):
	}
	close(end)
	<-cut
}

func TestKeptVideosAreTheLast(t *testing.T) {
	m := &Media{}
	var gone []vstack.VideoID
	for n := range maxKept + 3 {
		gone = append(gone, m.keep(vstack.VideoID{byte(n)})...)
	}
	if len(gone) != 3 || gone[2] != (vstack.VideoID{2}) || len(m.kept) != maxKept || m.kept[0] != (vstack.VideoID{3}) {
		t.Errorf("gone %v, kept %v", gone, m.kept)
	}
}
