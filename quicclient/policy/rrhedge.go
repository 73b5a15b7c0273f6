package policy

import (
	"slices"
	"time"
)

// hedgeQuantile is the part of chunks that need no hedge, hedgeMemory how many are
// remembered, hedgeFirst the wait before so many are known.
const (
	hedgeQuantile = 0.95
	hedgeMemory   = 64
	hedgeFirst    = 500 * time.Millisecond
)

// RRHedge is RoundRobin with a second request for a chunk that takes longer than 95 % of
// those before ("The Tail at Scale", Dean and Barroso): the next holder is asked for what
// has not come, the first to bring it wins.
//
// The time that is waited follows what chunks have taken, so that about one in twenty is
// asked for twice; half a second until 16 are known. A chunk is hedged once, or again when
// all its stores are silent.
//
// It shortens the tail at the price of what comes twice, and of links that carry it; where a
// third of the chunks are slow, the percentile is, too, and it comes too late.
type RRHedge struct {
	pick  func(*View, *Piece, []int) int
	took  []time.Duration // of the last chunks
	began map[uint64]time.Duration
}

// NewRRHedge makes the policy.
func NewRRHedge() *RRHedge { return &RRHedge{pick: inTurn(), began: map[uint64]time.Duration{}} }

// Name implements Policy.
func (*RRHedge) Name() string { return "rr-hedge" }

// Decide implements Policy.
func (r *RRHedge) Decide(v View) Decision {
	r.remember(&v)
	wait := r.wait()
	w := whole{pick: r.pick}
	d := w.Decide(v)
	for i := range v.Pieces {
		p := &v.Pieces[i]
		if len(p.Running) != 1 || p.Need > 1 || slices.ContainsFunc(d.Actions, func(a Action) bool { return a.Piece == p.ID }) {
			continue
		}
		if at := p.Running[0].Started + wait; v.Now < at {
			d.wakeBy(at)
			continue
		}
		w.start(&v, p, &d, true)
	}
	return d
}

// remember learns from chunks that are not shown any more how long they took.
func (r *RRHedge) remember(v *View) {
	seen := map[uint64]bool{}
	for i := range v.Pieces {
		p := &v.Pieces[i]
		seen[p.Chunk] = true
		if len(p.Running) > 0 && r.began[p.Chunk] == 0 {
			r.began[p.Chunk] = max(p.Running[0].Started, 1)
		}
	}
	for chunk, began := range r.began {
		if !seen[chunk] {
			r.took = append(r.took, v.Now-began)
			delete(r.began, chunk)
		}
	}
	r.took = r.took[max(len(r.took)-hedgeMemory, 0):]
}

func (r *RRHedge) wait() time.Duration {
	if len(r.took) < 16 {
		return hedgeFirst
	}
	sorted := slices.Sorted(slices.Values(r.took))
	return sorted[int(hedgeQuantile*float64(len(sorted)-1))]
}
