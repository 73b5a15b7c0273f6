package shape

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func written(t *testing.T, body string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace.json")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTraceIsALinkOverTime(t *testing.T) {
	tr, err := ReadTrace(written(t, `[{"duration_ms": 500, "bandwidth_kbps": 8000, "latency_ms": 20},
		{"duration_ms": 250, "bandwidth_kbps": 0, "latency_ms": 20}, {"duration_ms": 250, "bandwidth_kbps": 4000, "latency_ms": 60}]`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := tr.Plan(Shape{Queue: 50_000}, 0.5, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := p.MeanRate(); got != 2.5e6 {
		t.Errorf("mean rate %v", got)
	}
	line := newTimeline(p, 0)
	for at, want := range map[time.Duration]Shape{
		0:                       {Rate: 4e6, Delay: 10 * time.Millisecond, Queue: 50_000},
		600 * time.Millisecond:  {Hold: true, Delay: 10 * time.Millisecond, Queue: 50_000},
		900 * time.Millisecond:  {Rate: 2e6, Delay: 30 * time.Millisecond, Queue: 50_000},
		1100 * time.Millisecond: {Rate: 4e6, Delay: 10 * time.Millisecond, Queue: 50_000},
	} {
		if got, _ := line.at(at); *got != want {
			t.Errorf("at %v: %+v, want %+v", at, *got, want)
		}
	}
	// Begun elsewhere it is the same trace, and a delay of its own holds.
	turned, err := tr.Plan(Shape{Delay: time.Millisecond}, 1, 1600*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if turned.period() != p.period() || turned.MeanRate() != 5e6 {
		t.Errorf("turned: %v at %v", turned.period(), turned.MeanRate())
	}
	if ph := turned.Phases[0]; !ph.Shape.Hold || ph.For != 150*time.Millisecond || ph.Shape.Delay != time.Millisecond {
		t.Errorf("turned begins with %+v", ph)
	}
}

func TestTracesThatAreNoneAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "duration", "empty": "[]", "nothing ever passes": `[{"duration_ms": 5, "bandwidth_kbps": 0}]`,
		"a negative step": `[{"duration_ms": -5, "bandwidth_kbps": 10}]`, "a rate beyond bounds": `[{"duration_ms": 5, "bandwidth_kbps": 1e300}]`,
	} {
		if _, err := ReadTrace(written(t, body)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	tr := Trace{{DurationMS: 10, BandwidthKbps: 100}}
	if _, err := tr.Plan(Shape{}, math.NaN(), 0); err == nil {
		t.Error("a scale that is no number was taken")
	}
}

func TestProfilesAreLinks(t *testing.T) {
	for _, p := range Profiles() {
		if err := p.Plan.Validate(); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if found, err := FindProfile(p.Name); err != nil || found.Doc != p.Doc {
			t.Errorf("%s: found %+v, %v", p.Name, found, err)
		}
	}
	if _, err := FindProfile("none"); err == nil {
		t.Error("a profile that is none was found")
	}
}

func TestUnitsOfLinks(t *testing.T) {
	for in, want := range map[string]float64{"50Mbit": 50e6, "2.5mbit/s": 2.5e6, "400kbit": 4e5, "1 Gbit/s": 1e9, "900bit": 900, "50": 0, "-1Mbit": 0, "Mbit": 0, "NaNbit": 0} {
		if got, err := ParseRate(in); got != want || (err == nil) != (want > 0) {
			t.Errorf("rate %q: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]float64{"1%": 0.01, "0.02": 0.02, "100%": 1, "0": 0, "101%": -1, "x": -1} {
		if got, err := ParseShare(in); err == nil && got != want || (err == nil) != (want >= 0) {
			t.Errorf("share %q: %v, %v", in, got, err)
		}
	}
	for in, want := range map[string]int{"250kB": 250_000, "64KiB": 65536, "100ms": 125_000, "1MB": 1e6, "7B": 7, "-5ms": 0, "kB": 0, "12": 0} {
		if got, err := ParseQueue(in, 10e6); got != want || (err == nil) != (want > 0) {
			t.Errorf("queue %q: %v, %v", in, got, err)
		}
	}
	if _, err := ParseQueue("100ms", 0); err == nil {
		t.Error("a time without a rate was taken")
	}
}
