package report

import (
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

func parsed(t *testing.T, s string) Assertion {
	t.Helper()
	a, err := ParseAssertion(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseAssertion(t *testing.T) {
	for in, want := range map[string]Assertion{
		"write_gap.p99<1.2s":        {"write_gap.p99<1.2s", WriteGap, "p99", "<", 1.2},
		" leader_gap.p50 <= 600ms ": {"leader_gap.p50<=600ms", LeaderGap, "p50", "<=", 0.6},
		"heal.max>=0s":              {"heal.max>=0s", Heal, "max", ">=", 0},
		"stalls==0":                 {"stalls==0", Stalls, "", "==", 0},
		"writes>1000":               {"writes>1000", Writes, "", ">", 1000},
		"write_latency.p999<1m30s":  {"write_latency.p999<1m30s", WriteLatency, "p999", "<", 90},
	} {
		if got := parsed(t, in); got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

func TestParseAssertionRefusesWhatCannotBeJudged(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                     "",
		"no operator":                 "write_gap.p99",
		"one equals sign":             "stalls=0",
		"an unknown figure":           "gap.p99<1s",
		"a timing without statistic":  "write_gap<1s",
		"an unknown percentile":       "write_gap.p42<1s",
		"a timing without unit":       "write_gap.p99<1",
		"a negative time":             "write_gap.p99<-1s",
		"a counter with a statistic":  "stalls.max==0",
		"a counter with a time":       "stalls<1s",
		"a counter below zero":        "stalls>-1",
		"a counter that is not whole": "stalls<0.5",
		"two bounds in one":           "stalls<1<2",
	} {
		if a, err := ParseAssertion(in); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %q gave %+v, %v", name, in, a, err)
		}
	}
}

func FuzzParseAssertion(f *testing.F) {
	for _, s := range []string{"write_gap.p99<1.2s", "stalls==0", "heal.max>=0s", "x<", "write_gap.p99<1e9h", "writes<99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAssertion(s)
		if err != nil {
			return
		}
		again, err := ParseAssertion(a.Expr)
		if err != nil || again != a {
			t.Errorf("%q became %+v, and that %+v, %v", s, a, again, err)
		}
	})
}

func TestJudge(t *testing.T) {
	r := &Report{
		Timings:  []Timing{{Name: WriteGap, Count: 3, Min: 0.1, Mean: 0.5, P50: 0.4, P90: 0.9, P95: 1, P99: 1.2, P999: 1.3, Max: 1.4}, {Name: LeaderGap}},
		Counters: []Counter{{Name: Stalls, Value: 2}, {Name: Writes, Value: 0}, {Name: LostWrites}, {Name: PlayFailed}, {Name: Plays}},
	}
	for expr, held := range map[string]bool{
		"write_gap.p99<1.2s": false, "write_gap.p99<=1.2s": true, "write_gap.min>100ms": false, "write_gap.mean==500ms": true,
		"write_gap.p50<401ms": true, "write_gap.p90<0.8s": false, "write_gap.p95>=1s": true, "write_gap.p999<1.3s": false, "write_gap.max<1.5s": true,
		"stalls==2": true, "stalls==0": false, "writes==0": true, "stalls>1": true,
		"play_failed==0":    false, // no playback ended
		"lost_writes==0":    false, // nothing was written
		"leader_gap.p99<1h": false, // nothing was measured
		"uploads>=0":        false, // not in this report
	} {
		if v := parsed(t, expr).judge(r); v.Held != held {
			t.Errorf("%s: held is %v with %s", expr, v.Held, v.Measured())
		}
	}
}

func TestMissedBoundsMakeTheExitCode(t *testing.T) {
	r := &Report{Counters: []Counter{{Name: Stalls, Value: 2}, {Name: Writes, Value: 9}, {Name: LostWrites}}}
	r.assertions = []Assertion{parsed(t, "lost_writes==0"), parsed(t, "stalls<=1"), parsed(t, "write_gap.p99<1s")}
	r.judge()
	err := r.Err()
	if console.ExitCode(err) != console.ExitBound {
		t.Fatalf("%v is exit code %d", err, console.ExitCode(err))
	}
	if want := "asserted bound missed: stalls<=1: 2; write_gap.p99<1s: nothing measured"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	r.assertions = r.assertions[:1]
	r.judge()
	if err := r.Err(); err != nil {
		t.Errorf("no bound was missed: %v", err)
	}
}

func TestDefaultsAskForNothingThatNoLoadGives(t *testing.T) {
	for _, tc := range []struct {
		loads []Load
		want  int
		may   bool
	}{{nil, 0, false}, {[]Load{LoadPlay}, 2, false}, {[]Load{LoadPlay}, 1, true}, {[]Load{LoadMeta}, 5, false}, {[]Load{LoadMeta, LoadUpload, LoadPlay}, 9, false}} {
		got := defaultAssertions(tc.loads, tc.may)
		if len(got) != tc.want {
			t.Errorf("%v: %d assertions, want %d", tc.loads, len(got), tc.want)
		}
		for _, a := range got {
			if parsed(t, a.Expr) != a {
				t.Errorf("%+v is not what its text says", a)
			}
		}
	}
}
