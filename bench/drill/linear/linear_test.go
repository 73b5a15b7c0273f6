package linear

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

func write(client string, value uint64, call, ret time.Duration) Op {
	return Op{Client: client, Write: true, Value: value, Call: call * ms, Return: ret * ms}
}

func open(client string, value uint64, call time.Duration) Op {
	return Op{Client: client, Write: true, Value: value, Open: true, Call: call * ms}
}

func read(client string, value uint64, call, ret time.Duration) Op {
	return Op{Client: client, Value: value, Call: call * ms, Return: ret * ms}
}

func TestHistoriesAreJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		ops  []Op
		want Verdict
	}{
		"nothing happened":                           {nil, OK},
		"what was there before":                      {[]Op{read("r", 7, 1, 2)}, OK},
		"something that was never written":           {[]Op{read("r", 8, 1, 2)}, Violation},
		"the last write":                             {[]Op{write("a", 1, 1, 2), write("a", 2, 3, 4), read("r", 2, 5, 6)}, OK},
		"a stale read":                               {[]Op{write("a", 1, 1, 2), write("a", 2, 3, 4), read("r", 1, 5, 6)}, Violation},
		"a stale read while the write is under way":  {[]Op{write("a", 1, 1, 2), write("a", 2, 3, 9), read("r", 1, 5, 6)}, OK},
		"a read from the future":                     {[]Op{read("r", 1, 1, 2), write("a", 1, 3, 4)}, Violation},
		"two writers at once, read in one order":     {[]Op{write("a", 1, 1, 9), write("b", 2, 1, 9), read("r", 1, 10, 11), read("s", 1, 12, 13)}, OK},
		"two writers at once, read in both orders":   {[]Op{write("a", 1, 1, 9), write("b", 2, 1, 9), read("r", 1, 10, 11), read("s", 2, 12, 13)}, Violation},
		"a step back between two members":            {[]Op{write("a", 1, 1, 9), read("r", 1, 2, 3), read("s", 7, 4, 5)}, Violation},
		"a write that was lost":                      {[]Op{write("a", 1, 1, 2), read("r", 7, 3, 4)}, Violation},
		"an unknown outcome that happened":           {[]Op{open("a", 1, 1), read("r", 1, 3, 4)}, OK},
		"an unknown outcome that happened late":      {[]Op{open("a", 1, 1), write("b", 2, 3, 4), read("r", 2, 5, 6), read("r", 1, 7, 8)}, OK},
		"an unknown outcome that never happened":     {[]Op{open("a", 1, 1), write("b", 2, 3, 4), read("r", 2, 50, 60)}, OK},
		"an unknown outcome that happened twice":     {[]Op{open("a", 1, 1), read("r", 1, 2, 3), write("b", 2, 4, 5), read("r", 2, 6, 7), read("r", 1, 8, 9)}, Violation},
		"an unknown outcome before its call":         {[]Op{read("r", 1, 1, 2), open("a", 1, 3)}, Violation},
		"a known outcome treated as one that is not": {[]Op{write("a", 1, 1, 2), write("b", 2, 3, 4), read("r", 2, 5, 6), read("r", 1, 7, 8)}, Violation},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Check(7, tc.ops, 5*time.Second); got != tc.want {
				t.Errorf("verdict %d, want %d", got, tc.want)
			}
		})
	}
}

// simulate runs clients against a true register: every operation happens at a moment
// between its call and its return. Some writes are left open, half of which happen, up
// to a while later.
func simulate(r *rand.Rand, clients, each int) []Op {
	type effect struct {
		at time.Duration
		op *Op
	}
	var ops []*Op
	var effects []effect
	value := uint64(0)
	for c := range clients {
		now := time.Duration(0)
		for range each {
			op := &Op{Client: fmt.Sprint(c), Write: r.IntN(2) == 0, Call: now}
			took := time.Duration(1+r.IntN(20)) * ms
			op.Return = now + took
			at := now + time.Duration(r.Int64N(int64(took)))
			if op.Write {
				value++
				op.Value = value
				if r.IntN(40) == 0 {
					op.Open = true
					at += time.Duration(r.IntN(100)) * ms
				}
			}
			if !op.Open || r.IntN(2) == 0 {
				effects = append(effects, effect{at, op})
			}
			ops = append(ops, op)
			now = op.Return + time.Duration(r.IntN(5))*ms
		}
	}
	// Insertion by time: few enough.
	for i := range effects {
		for j := i; j > 0 && effects[j].at < effects[j-1].at; j-- {
			effects[j], effects[j-1] = effects[j-1], effects[j]
		}
	}
	held := uint64(0)
	for _, e := range effects {
		if e.op.Write {
			held = e.op.Value
		} else {
			e.op.Value = held
		}
	}
	out := make([]Op, len(ops))
	for i, op := range ops {
		out[i] = *op
	}
	return out
}

func TestTrueRegistersAreAcceptedInTime(t *testing.T) {
	for seed := range uint64(6) {
		ops := simulate(rand.New(rand.NewPCG(seed, 1)), 6, 150)
		if v := Check(0, ops, 10*time.Second); v != OK {
			t.Errorf("seed %d: verdict %d of a true register\n%s", seed, v, Story(0, ops, time.Second))
		}
	}
}

// A stale-read mutant: one read of a true register answers what was overwritten, with a
// write acknowledged in between, before it was called.
func TestOneStaleReadAmongManyIsSeen(t *testing.T) {
	for seed := range uint64(6) {
		ops := simulate(rand.New(rand.NewPCG(seed, 2)), 6, 100)
		mutated := stale(ops)
		if mutated < 0 {
			t.Fatalf("seed %d: no read to make stale", seed)
		}
		if v := Check(0, ops, 10*time.Second); v != Violation {
			t.Errorf("seed %d: verdict %d with a stale read", seed, v)
			continue
		}
		if s := Story(0, ops, 5*time.Second); !strings.Contains(s, ops[mutated].String()) {
			t.Errorf("seed %d: the story does not name the stale read %s:\n%s", seed, ops[mutated], s)
		}
	}
}

// stale makes one read return a value that a read of another client saw before a third
// client's write was called, which was acknowledged before the stale read was called.
func stale(ops []Op) int {
	for i := len(ops) - 1; i >= 0; i-- {
		late := &ops[i]
		if late.Write {
			continue
		}
		for _, w := range ops {
			if !w.Write || w.Open || w.Return >= late.Call {
				continue
			}
			for _, old := range ops {
				if !old.Write && old.Return < w.Call && old.Value != w.Value && known(ops, old.Value, old.Return) {
					late.Value = old.Value
					return i
				}
			}
		}
	}
	return -1
}

// known reports whether the write of a value had been answered by then: an open one, or
// one under way, might happen after the other.
func known(ops []Op, value uint64, by time.Duration) bool {
	for _, op := range ops {
		if op.Write && op.Value == value {
			return !op.Open && op.Return <= by
		}
	}
	return false
}

func TestWindowsCarryWhatIsOpen(t *testing.T) {
	// The write of 1 got no answer in the first window and happens in the second.
	first := []Op{open("a", 1, 1), write("b", 2, 3, 4), read("cut", 2, 5, 6)}
	if v := Check(0, first, time.Second); v != OK {
		t.Fatal(v)
	}
	second := []Op{read("r", 2, 7, 8), read("r", 1, 9, 10)}
	if v := Check(2, second, time.Second); v != Violation {
		t.Errorf("verdict %d without the open write", v)
	}
	if v := Check(2, append([]Op{open("a", 1, 1)}, second...), time.Second); v != OK {
		t.Errorf("verdict %d with the open write", v)
	}
}

// So many writes at once that all have the same chances take longer than any limit.
func TestWhatTakesTooLongIsUndecided(t *testing.T) {
	var ops []Op
	for i := range 40 {
		ops = append(ops, write(fmt.Sprint(i), uint64(i+1), 0, 1000))
	}
	ops = append(ops, read("r", 1, 2000, 2001), read("r", 2, 2002, 2003))
	if v := Check(0, ops, 50*time.Millisecond); v != Undecided {
		t.Errorf("verdict %d", v)
	}
}

func TestStoryTellsOpenWrites(t *testing.T) {
	ops := []Op{open("a", 1, 1), read("r", 1, 2, 3), write("b", 2, 4, 5), read("r", 9, 6, 7), read("r", 2, 8, 9)}
	s := Story(0, ops, time.Second)
	if !strings.Contains(s, "reads  9") || strings.Contains(s, "reads  2") || !strings.Contains(s, "held 0 at first; of the 5 operations") {
		t.Error(s)
	}
	if text := ops[0].String(); !strings.Contains(text, "∞") || !strings.Contains(text, "writes 1") {
		t.Error(text)
	}
}

// Closing open writes before the search must not change its outcome.
func TestClosingOpenWritesChangesNothing(t *testing.T) {
	seen := map[Verdict]int{}
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 3))
		var ops []Op
		for i := range 2 + r.IntN(5) {
			op := Op{Client: fmt.Sprint(i), Write: r.IntN(2) == 0, Value: uint64(i + 1), Call: time.Duration(r.IntN(12)) * ms}
			op.Return = op.Call + time.Duration(1+r.IntN(6))*ms
			op.Open = op.Write && r.IntN(2) == 0
			if !op.Write {
				op.Value = uint64(r.IntN(6))
			}
			ops = append(ops, op)
		}
		got, want := Check(0, ops, time.Second), search(0, ops, time.Second)
		if seen[want]++; got != want {
			t.Fatalf("seed %d: verdict %d, want %d of %v", seed, got, want, ops)
		}
	}
	if seen[OK] < 100 || seen[Violation] < 100 {
		t.Errorf("the histories were all alike: %v", seen)
	}
}
