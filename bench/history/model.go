package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/vstack/vstack/internal/vstack"
)

// Kind is what an operation does.
type Kind string

const (
	// Propose wants a value in a slot and learns which one the slot holds.
	Propose Kind = "propose"
	// Read learns what a slot holds, or that it was empty at some moment of the read.
	Read Kind = "read"
)

// Op is one operation on one slot, as its client saw it.
type Op struct {
	Client string         `json:"client"`
	Kind   Kind           `json:"kind"`
	Seq    uint32         `json:"seq"`             // the slot
	Value  vstack.ChunkID `json:"value,omitzero"`  // that a Propose wants
	Known  bool           `json:"known,omitempty"` // the outcome is known
	Got    vstack.ChunkID `json:"got,omitzero"`    // what the slot holds; zero: a Read found it empty
	Call   int64          `json:"call"`            // nanoseconds of the monotonic clock
	Return int64          `json:"return,omitempty"`
}

func (o Op) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-12s slot %-3d %s", o.Client, o.Seq, o.Kind)
	if o.Kind == Propose {
		fmt.Fprintf(&s, " %s", o.Value.Short())
	}
	switch {
	case !o.Known:
		s.WriteString(" → unknown")
	case o.Got.IsZero():
		s.WriteString(" → empty")
	default:
		fmt.Fprintf(&s, " → %s", o.Got.Short())
	}
	return s.String()
}

// register is a slot as a sequential object: empty, then one value for ever.
var register = porcupine.Model{
	Init: func() any { return vstack.ChunkID{} },
	Step: func(state, input, _ any) (bool, any) {
		held, op := state.(vstack.ChunkID), input.(Op)
		empty := held.IsZero()
		switch {
		case op.Kind == Read:
			return held == op.Got, held
		case op.Known && empty:
			return op.Got == op.Value, op.Got
		case op.Known:
			return held == op.Got, held
		case empty:
			// An unknown outcome is one of these steps at some time after the call. That it
			// never happens is the same as that it happens last of all.
			return true, op.Value
		}
		return true, held
	},
}

// Verdict is the judgement of one history.
type Verdict struct {
	Slots     int
	Violating []uint32 // slots that no order of the operations explains
	Undecided []uint32 // slots that the checker did not finish with in time
}

// Check judges every slot by itself, for at most limit each: registers that share
// nothing are linearizable together when each one is.
func Check(ops []Op, limit time.Duration) Verdict {
	slots := map[uint32][]porcupine.Operation{}
	for i, op := range ops {
		end := op.Return
		if !op.Known {
			end = math.MaxInt64
		}
		slots[op.Seq] = append(slots[op.Seq], porcupine.Operation{ClientId: i, Input: op, Call: op.Call, Return: end})
	}
	v := Verdict{Slots: len(slots)}
	for seq, history := range slots {
		switch porcupine.CheckOperationsTimeout(register, history, limit) {
		case porcupine.Illegal:
			v.Violating = append(v.Violating, seq)
		case porcupine.Unknown:
			v.Undecided = append(v.Undecided, seq)
		}
	}
	slices.Sort(v.Violating)
	slices.Sort(v.Undecided)
	return v
}

// Story tells the operations of one slot in order of their calls.
func Story(ops []Op, seq uint32) string {
	var of []Op
	for _, op := range ops {
		if op.Seq == seq {
			of = append(of, op)
		}
	}
	slices.SortFunc(of, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
	var s strings.Builder
	for _, op := range of {
		at := func(ns int64) float64 { return float64(ns-of[0].Call) / 1e6 }
		end := "        ∞"
		if op.Known {
			end = fmt.Sprintf("%9.3f", at(op.Return))
		}
		fmt.Fprintf(&s, "  %9.3f – %s ms  %s\n", at(op.Call), end, op)
	}
	return s.String()
}

// values are what the slots hold, by the known outcomes. Check has told that they agree.
func values(ops []Op) map[uint32]vstack.ChunkID {
	out := map[uint32]vstack.ChunkID{}
	for _, op := range ops {
		if op.Known && !op.Got.IsZero() {
			out[op.Seq] = op.Got
		}
	}
	return out
}
