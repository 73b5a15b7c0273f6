package drill

import (
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Event is a moment of a repetition.
type Event struct {
	At   float64 `json:"at"` // seconds since the fault
	Kind string  `json:"kind"`
	Text string  `json:"text"`
}

// The kinds of events.
const (
	EventFault  = "fault"
	EventLeader = "leader" // a member leads in a later term
	EventWrite  = "write"  // first acknowledged write that began after the fault
	EventMend   = "mend"   // the fault was taken back
	EventHealed = "healed"
	EventExit   = "exit" // a host ended by itself
)

// Repetition is one fault as the clients saw it. Times are seconds since the fault;
// those that did not happen are absent.
type Repetition struct {
	N          int             `json:"n"` // from 1
	Began      time.Time       `json:"began"`
	Victims    []vstack.HostID `json:"victims"`
	LeaderGap  *float64        `json:"leader_gap,omitempty"`
	FirstWrite *float64        `json:"first_write,omitempty"`
	WriteGap   *float64        `json:"write_gap,omitempty"`
	Heal       *float64        `json:"heal,omitempty"`
	Events     []Event         `json:"events"`
	// Acks counts acknowledged writes in slices of AckSlice seconds; the first slice
	// begins AckLead seconds before the fault.
	Acks []int `json:"acks,omitempty"`
	// Counts are the failures and violations of this repetition alone.
	Counts map[string]int64 `json:"counts,omitempty"`
}

const (
	// AckSlice is the width of one slice of Repetition.Acks, in seconds.
	AckSlice = 0.05
	// AckLead is how long before the fault Repetition.Acks begins, in seconds.
	AckLead = 0.5
	// maxSlices bounds Repetition.Acks: two minutes.
	maxSlices = 2400
)

// write is one catalog write of the meta load that was acknowledged.
type write struct{ begun, acked time.Time }

// timeline is a repetition in the making.
type timeline struct {
	fault time.Time // set once, before other goroutines see the timeline

	mu  sync.Mutex
	rep Repetition
}

func (t *timeline) event(kind, format string, args ...any) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Since(t.fault)
	t.rep.Events = append(t.rep.Events, Event{At: at.Seconds(), Kind: kind, Text: fmt.Sprintf(format, args...)})
	return at
}

// led notes how long it took until a member led again; only the first counts.
func (t *timeline) led(gap time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rep.LeaderGap == nil {
		s := gap.Seconds()
		t.rep.LeaderGap = &s
	}
}

// finish computes what the writes of the repetition tell, which are in the order of
// their acknowledgement, and returns the repetition.
func (t *timeline) finish(writes []write, healed time.Time) Repetition {
	t.mu.Lock()
	defer t.mu.Unlock()
	heal := healed.Sub(t.fault).Seconds()
	t.rep.Heal = &heal
	if len(writes) > 0 {
		gap := longestGap(writes, t.fault, healed).Seconds()
		t.rep.WriteGap = &gap
		t.rep.Acks = ackSlices(writes, t.fault, healed)
	}
	if w, ok := firstBegun(writes, t.fault); ok {
		first := w.acked.Sub(t.fault).Seconds()
		t.rep.FirstWrite = &first
		t.insert(Event{At: first, Kind: EventWrite, Text: "first write acknowledged"})
	}
	return t.rep
}

// insert puts an event that was found afterwards in its place.
func (t *timeline) insert(e Event) {
	i := len(t.rep.Events)
	for i > 0 && t.rep.Events[i-1].At > e.At {
		i--
	}
	t.rep.Events = append(t.rep.Events[:i], append([]Event{e}, t.rep.Events[i:]...)...)
}

// firstBegun is the first acknowledged write that began at or after a moment.
func firstBegun(writes []write, after time.Time) (write, bool) {
	for _, w := range writes {
		if !w.begun.Before(after) {
			return w, true
		}
	}
	return write{}, false
}

// longestGap is the longest time between from and to in which nothing was acknowledged.
func longestGap(writes []write, from, to time.Time) time.Duration {
	last, longest := from, time.Duration(0)
	for _, w := range writes {
		if w.acked.Before(from) {
			continue
		}
		if w.acked.After(to) {
			break
		}
		longest = max(longest, w.acked.Sub(last))
		last = w.acked
	}
	return max(longest, to.Sub(last))
}

// ackSlices counts acknowledgements in slices of AckSlice.
func ackSlices(writes []write, fault, healed time.Time) []int {
	begin := fault.Add(-time.Duration(AckLead * float64(time.Second)))
	n := min(int(healed.Sub(begin).Seconds()/AckSlice)+1, maxSlices)
	out := make([]int, n)
	for _, w := range writes {
		at := w.acked.Sub(begin).Seconds() / AckSlice
		if at >= 0 && int(at) < n {
			out[int(at)]++
		}
	}
	return out
}
