package verdict

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/bench/viewing"
)

func set(scenario, policy string) Key {
	return Key{Scenario: scenario, Policy: policy, Bitrate: 8e6, Buffer: 6 * time.Second}
}

// find returns the target of a name.
func find(t *testing.T, targets []Target, name string) Target {
	t.Helper()
	i := slices.IndexFunc(targets, func(x Target) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no target %q in %v", name, targets)
	}
	return targets[i]
}

func TestAScenarioIsHeldToItsTargets(t *testing.T) {
	good := viewing.Outcome{First: 0.2, ChunkP99: 1, SlowShare: 0.03}
	bad := viewing.Outcome{First: 0.4, ChunkP99: 2, SlowShare: 0.05, Stalls: 1, StallTime: 2}
	judged := func(ours viewing.Outcome) []Target {
		r := Results{set("slow", "smart"): {ours, ours}, set("slow", OracleName): {good, good}}
		return r.Targets("smart", []string{"smart"})
	}
	for _, name := range []string{"first picture, p95", "chunk p99 ÷ the oracle's", "bytes from the slow host", "stalls"} {
		if x := find(t, judged(good), name); !x.Reached() {
			t.Errorf("missed: %v", x)
		}
		if x := find(t, judged(bad), name); x.Reached() {
			t.Errorf("reached: %v", x)
		}
	}
}

func TestAHostThatIsNeverUsedAgainMissesItsTarget(t *testing.T) {
	r := Results{set("vanish", "smart"): {{Gap: 0.1, Back: 0.5}, {Gap: 0.1, Back: -1}}}
	if x := find(t, r.Targets("smart", nil), "used again after its return, p95"); x.Reached() || !math.IsInf(x.Value, 1) {
		t.Errorf("%v", x)
	}
}

func TestABaselineThatIsBetterIsNamed(t *testing.T) {
	ours, base := make([]viewing.Outcome, 10), make([]viewing.Outcome, 10)
	for i := range ours {
		ours[i] = viewing.Outcome{First: 0.3 + 0.001*float64(i), Goodput: 8e6}
		base[i] = viewing.Outcome{First: 0.2 + 0.001*float64(i), Goodput: 8e6}
	}
	r := Results{set("healthy", "smart"): ours, set("healthy", "p2c"): base}
	x := find(t, r.Targets("smart", []string{"smart", "p2c"}), "first picture: worse than the best baseline by")
	if x.Reached() || x.Value < 40 || x.Value > 60 {
		t.Errorf("%v", x)
	}
	swapped := Results{set("healthy", "smart"): base, set("healthy", "p2c"): ours}
	for _, y := range swapped.Targets("smart", []string{"smart", "p2c"}) {
		if !y.Reached() {
			t.Errorf("%v", y)
		}
	}
}
