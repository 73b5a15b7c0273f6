package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Op is one operation on a register.
type Op struct {
	Client string
	Write  bool
	Value  uint64 // written, or read
	// Open says of a write that its outcome is unknown; Return is then meaningless. A
	// read without an answer tells nothing and is no operation.
	Open         bool
	Call, Return time.Duration // of one monotonic clock
}

func (o Op) String() string {
	verb, end := "reads", fmt.Sprintf("%11.3f", o.Return.Seconds()*1e3)
	if o.Write {
		verb = "writes"
	}
	if o.Open {
		end = "          ∞"
	}
	return fmt.Sprintf("%11.3f –%s ms  %-14s %-6s %d", o.Call.Seconds()*1e3, end, o.Client, verb, o.Value)
}

// end is when the outcome was known.
func (o Op) end() time.Duration {
	if o.Open {
		return math.MaxInt64
	}
	return o.Return
}

// Verdict is what a check came to.
type Verdict int

// The verdicts.
const (
	OK        Verdict = iota
	Violation         // no order of the operations explains what was read
	Undecided         // the search did not end in time
)

// model is the register as a sequential object.
func model(first uint64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, _ any) (bool, any) {
			op := input.(Op)
			if op.Write {
				return true, op.Value
			}
			return state.(uint64) == op.Value, state
		},
	}
}

// Check judges the history of a register that held first when it began. The search is
// given up after limit.
func Check(first uint64, ops []Op, limit time.Duration) Verdict {
	return search(first, closeOpen(ops), limit)
}

func search(first uint64, ops []Op, limit time.Duration) Verdict {
	history := make([]porcupine.Operation, len(ops))
	for i, op := range ops {
		history[i] = porcupine.Operation{ClientId: i, Input: op, Call: int64(op.Call), Return: int64(op.end())}
	}
	switch porcupine.CheckOperationsTimeout(model(first), history, limit) {
	case porcupine.Illegal:
		return Violation
	case porcupine.Unknown:
		return Undecided
	}
	return OK
}

// closeOpen removes what makes the search exponential, without a change to its outcome.
// An open write that nobody read may be thought never to happen; one that was read
// happened before the first of its reads returned.
func closeOpen(ops []Op) []Op {
	read := map[uint64]time.Duration{} // a value's first return
	for _, op := range ops {
		if at, ok := read[op.Value]; !op.Write && (!ok || op.Return < at) {
			read[op.Value] = op.Return
		}
	}
	out := make([]Op, 0, len(ops))
	for _, op := range ops {
		if op.Open {
			at, ok := read[op.Value]
			if !ok {
				continue
			}
			// Read before it was called, it stays open: that is for the search to refuse.
			if at >= op.Call {
				op.Open, op.Return = false, at
			}
		}
		out = append(out, op)
	}
	return out
}

// storySize bounds what Story tells.
const storySize = 24

// Story tells, of a history in violation, the operations before which it can no longer
// be explained: each prefix of the answers is checked, for at most limit in all.
func Story(first uint64, ops []Op, limit time.Duration) string {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b Op) int { return cmp.Compare(a.end(), b.end()) })
	began := time.Now()
	// A prefix by returns: what had not returned by then is open if it is a write, and
	// not there if it is a read.
	prefix := func(n int) []Op {
		out := slices.Clone(ops[:n])
		for _, op := range ops[n:] {
			if op.Write && n > 0 && op.Call <= ops[n-1].end() {
				op.Open = true
				out = append(out, op)
			}
		}
		return out
	}
	bad := sort.Search(len(ops), func(n int) bool {
		return Check(first, prefix(n), max(limit-time.Since(began), time.Millisecond)) == Violation
	})
	var b strings.Builder
	fmt.Fprintf(&b, "the register held %d at first; of the %d operations the last of these cannot be explained:", first, len(ops))
	for _, op := range ops[max(0, bad-storySize):bad] {
		b.WriteString("\n    " + op.String())
	}
	return b.String()
}
