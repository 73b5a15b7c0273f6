package load

import (
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/linear"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// maxOps bounds the history of one register in one window.
	maxOps = 1 << 17
	// checkLimit bounds the search in one history.
	checkLimit = 20 * time.Second
	// maxWindows is how many windows may wait to be checked.
	maxWindows = 4
)

// histories records what clients see of registers, and has it checked window by window.
type histories struct {
	rec  *report.Recorder
	base time.Time // of all times

	// gate is held for reading during each operation, so that its holder for writing
	// finds nothing under way: there a window ends.
	gate    sync.RWMutex
	windows chan []window
	done    chan struct{} // the checker has ended
}

// window is the history of one register between two moments at which nothing was under way.
type window struct {
	video    vstack.VideoID
	first    uint64 // what it held when the window began
	ops      []linear.Op
	overflow bool // operations are missing
}

func newHistories(rec *report.Recorder) *histories {
	h := &histories{rec: rec, base: time.Now(), windows: make(chan []window, maxWindows), done: make(chan struct{})}
	go h.check()
	return h
}

// write runs one write and records it; an error is an unknown outcome, whatever it says.
func (h *histories) write(r *register, client string, n uint64, do func() error) error {
	h.gate.RLock()
	defer h.gate.RUnlock()
	op := linear.Op{Client: client, Write: true, Value: n, Call: time.Since(h.base)}
	err := do()
	op.Return, op.Open = time.Since(h.base), err != nil
	r.record(op)
	return err
}

// read runs one read and records what it returned; one without an answer tells nothing.
func (h *histories) read(r *register, client string, do func() (uint64, error)) (uint64, error) {
	h.gate.RLock()
	defer h.gate.RUnlock()
	op := linear.Op{Client: client, Call: time.Since(h.base)}
	n, err := do()
	if err == nil {
		op.Return, op.Value = time.Since(h.base), n
		r.record(op)
	}
	return n, err
}

// cut ends the window of every register; the gate is held for writing. held is what a
// linearizable read has just found, and nil when there is no next window.
func (h *histories) cut(registers []*register, held map[vstack.VideoID]uint64) {
	var all []window
	for _, r := range registers {
		if w := r.cut(held[r.video]); len(w.ops) > 0 {
			all = append(all, w)
		}
	}
	h.windows <- all // waits for the checker when it is far behind
}

// close waits until everything is checked.
func (h *histories) close() {
	close(h.windows)
	<-h.done
}

func (h *histories) check() {
	defer close(h.done)
	for all := range h.windows {
		for _, w := range all {
			h.judge(w)
		}
	}
}

func (h *histories) judge(w window) {
	h.rec.Add(report.Histories, 1)
	h.rec.Add(report.Operations, int64(len(w.ops)))
	if w.overflow {
		h.rec.Fail(report.Undecided, "register %s: more than %d operations in one window", w.video, maxOps)
		return
	}
	switch linear.Check(w.first, w.ops, checkLimit) {
	case linear.Violation:
		h.rec.Fail(report.Violations, "register %s: %s", w.video, linear.Story(w.first, w.ops, checkLimit))
	case linear.Undecided:
		h.rec.Fail(report.Undecided, "register %s: no verdict on %d operations within %s", w.video, len(w.ops), checkLimit)
	}
}
