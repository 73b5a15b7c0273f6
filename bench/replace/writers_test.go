package replace

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestJudgeSeesWhoWaited feeds commits by the clock and wants the silence and the stall of
// two rounds, one after the other.
func TestJudgeSeesWhoWaited(t *testing.T) {
	zero := time.Now()
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	w := newWriters(nil)
	for _, c := range [][2]int{
		{0, 10},    // before the round
		{95, 140},  // overlaps its start
		{150, 160}, // within
		{170, 390}, // the longest
		{385, 395},
		{395, 520}, // overlaps its end, and belongs to the next round too
		{700, 710},
	} {
		w.recent = append(w.recent, commit{at(c[0]), at(c[1])})
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	silence, stall, err := w.judge(t.Context(), at(100), at(400))
	if err != nil || silence != ms(230) || stall != ms(220) {
		t.Errorf("first round: silence %s, stall %s, %v; want 230 ms from 160 to 390, and 220 ms", silence, stall, err)
	}
	silence, stall, err = w.judge(t.Context(), at(400), at(800))
	if err != nil || silence != ms(190) || stall != ms(125) {
		t.Errorf("second round: silence %s, stall %s, %v; want 190 ms from 520 to 710, and 125 ms", silence, stall, err)
	}
}

// TestJudgeWaitsForCommitsThatOverlap has one under way when the round ends.
func TestJudgeWaitsForCommitsThatOverlap(t *testing.T) {
	w := newWriters(nil)
	from := time.Now()
	to := from.Add(10 * time.Millisecond)
	w.running[2] = from.Add(time.Millisecond)
	time.AfterFunc(40*time.Millisecond, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.recent = append(w.recent, commit{w.running[2], time.Now()})
		w.running[2] = time.Time{}
	})
	_, stall, err := w.judge(t.Context(), from, to)
	if err != nil || stall < 30*time.Millisecond {
		t.Errorf("stall %s, %v", stall, err)
	}
}

func TestRolesCountsTargets(t *testing.T) {
	a, b := vstack.StoreID{1}, vstack.StoreID{2}
	m := &vstack.PlacementMap{Groups: []vstack.PGTargets{{Targets: []vstack.StoreID{a, b}}, {Targets: []vstack.StoreID{b}}}}
	if roles(m, a) != 1 || roles(m, b) != 2 || roles(m, vstack.StoreID{3}) != 0 {
		t.Errorf("%d, %d", roles(m, a), roles(m, b))
	}
}
