package policy

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// SimpleName names the policy that NewSimple makes.
const SimpleName = "simple"

// stuckFactor says how much longer than its store's patience one request may make no
// progress while others of the same store do: then the request is stuck, not the store.
const stuckFactor = 5

// Simple gives each chunk whole to one store: the one with the fewest pending bytes,
// then the lowest round-trip time, then in turn. When the store falls silent the next
// one is asked too, and the first may still win.
type Simple struct{}

// NewSimple makes the policy.
func NewSimple() Simple { return Simple{} }

// Name is SimpleName.
func (Simple) Name() string { return SimpleName }

// Split keeps the chunk whole.
func (Simple) Split(size int64, _ bool) []Range { return []Range{{0, size}} }

// Decide starts pieces that nobody works on, and hedges those whose stores are silent.
func (Simple) Decide(v View) Decision {
	var d Decision
	stores := make(map[vstack.StoreID]*Signals, len(v.Stores))
	for i := range v.Stores {
		s := v.Stores[i] // a copy: Pending grows with what is decided here
		stores[s.Store] = &s
	}
	for _, p := range v.Pieces {
		urgency := uint8(UrgencyDefault)
		if len(p.Running) > 0 {
			patient := false
			for _, a := range p.Running {
				if until := silentAt(*stores[a.Store], a, v.Now); v.Now < until {
					d.wakeBy(until)
					patient = true
				}
			}
			if patient {
				continue
			}
			urgency = UrgencyHedge
		}
		if best := pick(p, stores); best != nil {
			best.Pending += p.Range.Length
			d.Actions = append(d.Actions, Action{Kind: Start, Piece: p.ID, Store: best.Store, Urgency: urgency})
			d.wakeBy(v.Now + best.Patience())
		}
	}
	return d
}

// silentAt is when an attempt counts as silent if nothing more comes: patience after
// the store's last sign of life, or stuckFactor times that after the attempt's own.
func silentAt(s Signals, a Attempt, now time.Duration) time.Duration {
	patience := s.Patience()
	alive := max(a.Progress, now-s.Silence)
	return min(alive+patience, a.Progress+stuckFactor*patience)
}

// pick returns the best holder that is not being asked already, or nil.
func pick(p Piece, stores map[vstack.StoreID]*Signals) *Signals {
	var best []*Signals
	for _, id := range p.Holders {
		s := stores[id]
		if s == nil || p.Tried(id) {
			continue
		}
		switch {
		case len(best) == 0 || compare(s, best[0]) < 0:
			best = append(best[:0], s)
		case compare(s, best[0]) == 0:
			best = append(best, s)
		}
	}
	if len(best) == 0 {
		return nil
	}
	slices.SortFunc(best, func(a, b *Signals) int { return slices.Compare(a.Store[:], b.Store[:]) })
	return best[p.ID%uint64(len(best))]
}

// compare orders stores, best first; 0 is a tie, which the round robin decides.
func compare(a, b *Signals) int {
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(a.Pending, b.Pending),
		cmp.Compare(octave(a.RTT), octave(b.RTT)),
	)
}

// rank puts stores that probably cannot answer behind those that probably can.
func rank(s *Signals) int {
	switch {
	case s.Ejected || s.Link == LinkDown:
		return 3
	case s.State == vstack.StoreDown:
		return 2
	case s.Link == LinkQUIC || s.Link == LinkTCP:
		return 0
	}
	return 1
}

// octave makes round-trip times within a factor of two of each other ties, and all
// below a millisecond: a smaller difference says nothing about the next chunk, and
// would send every chunk to one store.
func octave(rtt time.Duration) int { return bits.Len64(uint64(rtt / time.Millisecond)) }
