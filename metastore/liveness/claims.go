package liveness

import (
	"maps"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// maxPast bounds the processes of a store that are remembered as over.
const maxPast = 8

// process tells a store's present process from those before it: a report that was long on
// its way may come after one of the next process, and what that process has may be less.
// Where starts are in order, see wire.NextStart, the later one is the present one, in whatever
// order the two are first heard; elsewhere it is the one that was first heard last.
type process struct {
	started time.Time
	seq     uint64
	ordered bool
	past    []time.Time // of those before it, as they were heard
}

// newer reports whether a report is the latest of the present process, and notes it. A
// datanode that does not count its heartbeats is taken at its word.
func (p *process) newer(started time.Time, seq uint64, ordered bool) bool {
	switch {
	case ordered && p.ordered && started.Before(p.started):
		return false
	case slices.ContainsFunc(p.past, started.Equal):
		return false
	case p.started.Equal(started):
		if seq != 0 && seq <= p.seq {
			return false
		}
	case !p.started.IsZero():
		if p.past = append(p.past, p.started); len(p.past) > maxPast {
			p.past = p.past[1:]
		}
	}
	p.started, p.seq, p.ordered = started, seq, ordered
	return true
}

func claimsOf(r wire.StoreReport) reconfigure.Claims {
	if len(r.Claims) == 0 {
		return nil
	}
	out := make(reconfigure.Claims, len(r.Claims))
	for _, c := range r.Claims {
		if c.PG < vstack.PlacementGroups {
			out[c.PG] = reconfigure.Claim{Epoch: c.Epoch, Complete: c.Complete, Surveyed: c.Surveyed, Readable: max(c.Readable, c.Complete)}
		}
	}
	return out
}

// Free is what chunks may still take in each store that this leader has heard. A program that
// does not say it is taken for one that keeps no reserve.
func (m *Monitor) Free() map[vstack.StoreID]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[vstack.StoreID]int64, len(m.stores))
	for id, s := range m.stores {
		switch r := s.report; {
		case r.Full:
			out[id] = 0
		case r.Free == 0:
			out[id] = max(0, r.Capacity-r.Used)
		default:
			out[id] = r.Free
		}
	}
	return out
}

// Claims collects what stores last said of their groups. The maps are shared and must not
// be changed.
func (m *Monitor) Claims() map[vstack.StoreID]reconfigure.Claims {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[vstack.StoreID]reconfigure.Claims, len(m.stores))
	for id, s := range m.stores {
		out[id] = s.claims
	}
	return out
}

// Answer says what a heartbeat's claims come to: through which index each group that its
// stores have anything of is whole, for those that are whole through any, and what others
// have of those of which they lack something.
func Answer(s reconfigure.State, hb wire.Heartbeat) (wholes []wire.GroupWhole, shorts []wire.GroupShort) {
	asked, lacks := make([]bool, len(s.Map.Groups)), make([]bool, len(s.Map.Groups))
	for _, r := range hb.Stores {
		for _, c := range r.Claims {
			if int(c.PG) < len(asked) {
				asked[c.PG] = true
				lacks[c.PG] = lacks[c.PG] || c.Complete < c.Surveyed
			}
		}
	}
	w := reconfigure.NewWholes(s)
	for i, yes := range asked {
		if !yes {
			continue
		}
		pg := vstack.PG(i)
		of := w.Of(pg)
		if of.Index > 0 {
			wholes = append(wholes, wire.GroupWhole{PG: pg, Epoch: of.Epoch, Whole: of.Index, Surveyed: of.Surveyed})
		}
		if lacks[i] {
			shorts = append(shorts, wire.GroupShort{PG: pg, Epoch: of.Epoch, Holders: slices.Sorted(maps.Values(w.Holders(pg))), Leavers: w.Leavers(pg)})
		}
	}
	return wholes, shorts
}
