package policy

import (
	"slices"
	"time"
)

// whole is what policies share that give every chunk, or what is left of it, to one store:
// picking the store is theirs. A silent store is not waited for: another one is asked for
// the rest, beside it.
type whole struct {
	name string
	pick func(v *View, p *Piece, candidates []int) int
}

// Name implements Policy.
func (w whole) Name() string { return w.name }

// Decide starts pieces that nobody works on, and hedges those whose stores are silent.
func (w whole) Decide(v View) Decision {
	var d Decision
	for i := range v.Pieces {
		p := &v.Pieces[i]
		if len(p.Running)+p.Done >= p.Need && len(p.Running) > 0 && !silent(&v, p, &d) {
			continue
		}
		w.start(&v, p, &d, len(p.Running) >= p.Need-p.Done)
	}
	return d
}

// start asks as many holders as a piece still needs, one more if hedge is set.
func (w whole) start(v *View, p *Piece, d *Decision, hedge bool) {
	want, urgency := p.Need-p.Done-len(p.Running), uint8(UrgencyDefault)
	if hedge {
		want, urgency = 1, UrgencyHedge
	}
	for range want {
		candidates := best(v, untried(p))
		if len(candidates) == 0 {
			return
		}
		store := w.pick(v, p, candidates)
		d.start(p, store, urgency)
		v.Stores[store].Pending += p.Left()
		p.Running = append(slices.Clip(p.Running), Attempt{Store: store, At: p.From, To: p.To, Started: v.Now, Progress: v.Now})
		d.wakeBy(v.Now + v.Stores[store].Patience())
	}
}

// untried are the holders that are not being asked.
func untried(p *Piece) (out []int) {
	for _, h := range p.Holders {
		if !p.Tried(h) {
			out = append(out, h)
		}
	}
	return out
}

// best are those of the candidates that can be reached as well as any other.
func best(v *View, candidates []int) (out []int) {
	for _, i := range candidates {
		switch {
		case len(out) == 0 || rank(&v.Stores[i]) < rank(&v.Stores[out[0]]):
			out = append(out[:0:0], i)
		case rank(&v.Stores[i]) == rank(&v.Stores[out[0]]):
			out = append(out, i)
		}
	}
	return out
}

// silent reports whether every attempt of a piece is at a store that keeps silent; if not,
// the decision wakes when that could be.
func silent(v *View, p *Piece, d *Decision) bool {
	for _, a := range p.Running {
		if until := silentAt(v.Stores[a.Store], a, v.Now); v.Now < until {
			d.wakeBy(until)
			return false
		}
	}
	return true
}

// silentAt is when an attempt counts as silent if nothing more comes: patience after
// the store's last sign of life, or stuckFactor times that after the attempt's own.
func silentAt(s Signals, a Attempt, now time.Duration) time.Duration {
	patience := s.Patience()
	alive := max(a.Progress, now-s.Silence)
	return min(alive+patience, a.Progress+stuckFactor*patience)
}
