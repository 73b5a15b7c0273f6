package redundancy

import (
	"errors"
	"testing"

	"github.com/spf13/pflag"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

func TestSpansAreWrittenAndReadAlike(t *testing.T) {
	for text, seconds := range map[string]int64{"0s": 0, "30s": 30, "90s": 90, "1h": 3600, "36h": 36 * 3600, "7d": 7 * 86400, "1h1m5s": 3665, "10m": 600, "100d": 100 * 86400} {
		if got, err := parseSpan(text); err != nil || got != seconds {
			t.Errorf("%s: %d s, %v", text, got, err)
		}
		if got, err := parseSpan(span(seconds)); err != nil || got != seconds {
			t.Errorf("%d s are written %q, read as %d, %v", seconds, span(seconds), got, err)
		}
	}
	for _, text := range []string{"", "7", "-1h", "d", "1.5d", "week"} {
		if _, err := parseSpan(text); !errors.Is(err, console.ErrUsage) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestFlagsChangeWhatTheyName of a policy, and nothing else.
func TestFlagsChangeWhatTheyName(t *testing.T) {
	before := vstack.DefaultRedundancy
	before.CoolBelow, before.HostsCanFail = 77, 2
	over := func(args ...string) (vstack.RedundancyPolicy, bool, error) {
		var p policyFlags
		f := pflag.NewFlagSet("policy", pflag.ContinueOnError)
		p.add(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		return p.over(f, before)
	}
	if got, changed, err := over(); err != nil || changed || got != before {
		t.Errorf("without flags: %+v, %v, %v", got, changed, err)
	}
	got, changed, err := over("--warm-above", "5000", "--half-life", "36h", "--scheme", "2+1", "--auto=false")
	want := before
	want.WarmAbove, want.HalfLife, want.Layout.Scheme, want.Auto = 5000, 36*3600, vstack.Scheme{K: 2, M: 1}, false
	if err != nil || !changed || got != want {
		t.Errorf("%+v, %v, %v; want %+v", got, changed, err, want)
	}
	for _, args := range [][]string{{"--scheme", "three"}, {"--min-age", "soon"}, {"--warm-above", "7"}, {"--half-life", "1s"}} {
		if _, _, err := over(args...); err == nil {
			t.Errorf("%v is no policy, and was taken", args)
		}
	}
}
