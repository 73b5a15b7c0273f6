package report

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
	EventWrite  = "write"  // first acknowledged write that began while the fault was there
	EventMend   = "mend"   // the fault was taken back
	EventWait   = "wait"   // what healing waits for
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

// Write is one catalog write of the meta load that was acknowledged.
type Write struct{ Begun, Acked time.Time }

// Timeline is a repetition in the making. Its methods may be called from several
// goroutines.
type Timeline struct {
	Fault time.Time // not to be changed

	rec    *Recorder
	mu     sync.Mutex
	effect time.Time // since when the fault is there; zero before
	rep    Repetition
}

// Begin is the moment of a fault; what the recorder counts as failures from here on is
// the repetition's.
func (r *Recorder) Begin(victims ...vstack.HostID) *Timeline {
	r.begin()
	t := &Timeline{Fault: time.Now(), rec: r}
	t.rep.Began, t.rep.Victims = t.Fault.UTC(), victims
	return t
}

// Event notes that something happened now, and returns how long after the fault that is.
func (t *Timeline) Event(kind, format string, args ...any) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Since(t.Fault)
	e := Event{At: at.Seconds(), Kind: kind, Text: fmt.Sprintf(format, args...)}
	t.rep.Events = append(t.rep.Events, e)
	t.rec.tell(e)
	return at
}

// Took notes that the fault is there now, and returns that moment: what began before may
// still have been served as if nothing was. Of several the first counts.
func (t *Timeline) Took(format string, args ...any) time.Time {
	t.Event(EventFault, format, args...)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.effect.IsZero() {
		t.effect = time.Now()
	}
	return t.effect
}

// Led notes how long it took until a member led again; only the first counts.
func (t *Timeline) Led(gap time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rep.LeaderGap == nil {
		s := gap.Seconds()
		t.rep.LeaderGap = &s
	}
}

// End is the end of repetition n, which healed at a moment. The writes are in the order
// of their acknowledgement.
func (t *Timeline) End(n int, writes []Write, healed time.Time) Repetition {
	rep := t.finish(writes, healed)
	rep.N, rep.Counts = n, t.rec.counts()
	for name, v := range map[string]*float64{WriteGap: rep.WriteGap, FirstWrite: rep.FirstWrite, LeaderGap: rep.LeaderGap, Heal: rep.Heal} {
		if v != nil {
			t.rec.Observe(name, time.Duration(*v*float64(time.Second)))
		}
	}
	return rep
}

// finish computes what the writes tell.
func (t *Timeline) finish(writes []Write, healed time.Time) Repetition {
	t.mu.Lock()
	defer t.mu.Unlock()
	heal := healed.Sub(t.Fault).Seconds()
	t.rep.Heal = &heal
	if len(writes) > 0 {
		gap := longestGap(writes, t.Fault, healed).Seconds()
		t.rep.WriteGap = &gap
		t.rep.Acks = ackSlices(writes, t.Fault, healed)
	}
	since := t.Fault
	if !t.effect.IsZero() {
		since = t.effect
	}
	if w, ok := FirstBegun(writes, since); ok {
		first := w.Acked.Sub(t.Fault).Seconds()
		t.rep.FirstWrite = &first
		t.insert(Event{At: first, Kind: EventWrite, Text: "first write acknowledged"})
	}
	return t.rep
}

// insert puts an event that was found afterwards in its place.
func (t *Timeline) insert(e Event) {
	i := len(t.rep.Events)
	for i > 0 && t.rep.Events[i-1].At > e.At {
		i--
	}
	t.rep.Events = append(t.rep.Events[:i], append([]Event{e}, t.rep.Events[i:]...)...)
}

// FirstBegun is the first acknowledged write that began at or after a moment.
func FirstBegun(writes []Write, after time.Time) (Write, bool) {
	for _, w := range writes {
		if !w.Begun.Before(after) {
			return w, true
		}
	}
	return Write{}, false
}

// longestGap is the longest time between from and to in which nothing was acknowledged.
func longestGap(writes []Write, from, to time.Time) time.Duration {
	last, longest := from, time.Duration(0)
	for _, w := range writes {
		if w.Acked.Before(from) {
			continue
		}
		if w.Acked.After(to) {
			break
		}
		longest = max(longest, w.Acked.Sub(last))
		last = w.Acked
	}
	return max(longest, to.Sub(last))
}

// ackSlices counts acknowledgements in slices of AckSlice.
func ackSlices(writes []Write, fault, healed time.Time) []int {
	begin := fault.Add(-time.Duration(AckLead * float64(time.Second)))
	n := min(int(healed.Sub(begin).Seconds()/AckSlice)+1, maxSlices)
	out := make([]int, n)
	for _, w := range writes {
		at := w.Acked.Sub(begin).Seconds() / AckSlice
		if at >= 0 && int(at) < n {
			out[int(at)]++
		}
	}
	return out
}
