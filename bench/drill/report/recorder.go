package report

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// maxNotes bounds what a report tells in words.
const maxNotes = 200

// Recorder takes what loads and drills see. Its methods may be called from several
// goroutines.
type Recorder struct {
	tally    *tally
	progress func(string)
	// Events, when set before anything is recorded, is told each event as it happens.
	// Its calls and those of progress do not overlap.
	Events func(Event)

	mu       sync.Mutex // guards what is below, and calls of progress
	failures []string
	notes    []string
	current  map[string]int64 // failures of the current repetition
}

// NewRecorder makes an empty one. Calls of progress do not overlap.
func NewRecorder(progress func(string)) *Recorder {
	return &Recorder{tally: newTally(), progress: progress, current: map[string]int64{}}
}

// Observe adds one duration to a timing.
func (r *Recorder) Observe(timing string, d time.Duration) { r.tally.observe(timing, d) }

// Add counts what is no failure.
func (r *Recorder) Add(counter string, n int64) { r.tally.add(counter, n) }

// Fail counts something that must not happen, and keeps the first of them in words.
func (r *Recorder) Fail(counter, format string, args ...any) {
	r.tally.add(counter, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current[counter]++
	text := counter + ": " + fmt.Sprintf(format, args...)
	if len(r.failures) < maxNotes {
		r.failures = append(r.failures, text)
	}
	r.progress("  " + text)
}

// Note keeps something worth knowing that is no failure.
func (r *Recorder) Note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) < maxNotes {
		r.notes = append(r.notes, fmt.Sprintf(format, args...))
	}
}

// Say tells the person who waits.
func (r *Recorder) Say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress(fmt.Sprintf(format, args...))
}

// tell tells an event to the person who waits.
func (r *Recorder) tell(e Event) {
	if r.Events == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Events(e)
}

// begin forgets the failures before a repetition.
func (r *Recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = map[string]int64{}
}

// counts are the failures since begin.
func (r *Recorder) counts() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.current)
}
