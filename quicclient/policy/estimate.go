package policy

import (
	"hash/maphash"
	"math"
	"slices"
	"time"
)

const (
	// firstWindow is the congestion window that a new connection of quic-go begins with.
	firstWindow = 32 * 1252
	// ttfbMax bounds what waiting at a store's disk adds to an estimate.
	ttfbMax = 500 * time.Millisecond
	// busyEnough is after how long of owing bytes the last moments count.
	busyEnough = 300 * time.Millisecond
	// coarse is the difference of two times below which they are the same.
	coarse = 4 * time.Millisecond
	// gone is what an ejected store's attempts take.
	gone = 10 * time.Second
)

// estimate is what a View says about times to come.
type estimate struct {
	v       *View
	seed    uint64
	rates   []float64 // bytes a second, by store
	unasked int64     // bytes that nobody is asked for
	running int       // requests
}

func newEstimate(v *View, seed uint64) estimate {
	e := estimate{v: v, seed: seed, rates: make([]float64, len(v.Stores))}
	for i := range v.Stores {
		e.rates[i] = rateOf(&v.Stores[i])
		e.running += v.Stores[i].InFlight
	}
	for i := range v.Pieces {
		if p := &v.Pieces[i]; len(p.Running) == 0 {
			e.unasked += p.Left()
		}
	}
	return e
}

// rateOf is what a store brings in a second: the worse of two averages and, once it has
// owed bytes for a while, no more than twice what it brought in the last moments.
func rateOf(s *Signals) float64 {
	if !s.Sampled {
		return firstWindow * float64(max(s.Conns, 1)) / max(s.RTT, 5*time.Millisecond).Seconds()
	}
	r := s.Goodput()
	if s.Busied >= busyEnough {
		r = min(r, 2*s.Recent)
	}
	return max(r, 1)
}

// lossy is the part of packets lost from which on a connection is bound by its congestion
// window and not by the link, so that each has to be kept busy for itself.
const lossy = 0.003

// room reports whether a store could send more than it owes. One that was never measured
// is asked for one range a connection; so is one whose link loses packets, at least.
func (e *estimate) room(store int) bool {
	s := &e.v.Stores[store]
	if !s.Sampled {
		return s.InFlight < max(s.Conns, 1)
	}
	if s.Loss > lossy && !s.queues() && s.InFlight < s.Conns {
		return true
	}
	return float64(s.Pending) < e.rates[store]*(s.RTT+roomTime).Seconds()
}

// roomFor is room for a piece. What is due only after ahead waits where packets of a store
// queue: somebody else may need the link now. One request runs all the same. What has no clock
// (due after unhurried) is waited for, too.
func (e *estimate) roomFor(p *Piece, store int) bool {
	wait := p.Due - e.v.Now
	makesWay := e.running > 0 && wait > ahead && wait < unhurried && e.v.Stores[store].queues()
	return !makesWay && e.room(store)
}

// queues reports whether packets wait on the way to or from a store, by how much its round trip
// has grown.
func (s *Signals) queues() bool { return s.MinRTT > 0 && s.RTT-s.MinRTT > queueing }

// latency is how long a store takes to begin an answer.
func (e *estimate) latency(store int) time.Duration {
	s := &e.v.Stores[store]
	return s.RTT + min(max(s.TTFB-s.RTT, 0), ttfbMax)/2
}

// takes is how long a store would take for n more bytes.
func (e *estimate) takes(store int, n int64) time.Duration {
	return e.latency(store) + seconds(float64(e.v.Stores[store].Pending+n)/e.rates[store])
}

func seconds(s float64) time.Duration {
	return time.Duration(min(s, 3600) * float64(time.Second))
}

// size is how much of a piece a store is asked for at once.
func (e *estimate) size(p *Piece, store int) int64 {
	s := &e.v.Stores[store]
	n := int64(pullMin)
	if s.Sampled {
		var all float64
		for _, h := range p.Holders {
			if e.v.Stores[h].Up() {
				all += e.rates[h]
			}
		}
		part := float64(e.unasked) / 2 * e.rates[store] / max(all, 1)
		n = int64(min(max(min(e.rates[store]*pullTime.Seconds(), part), pullMin), pullMax))
	}
	n = (n + p.Grain - 1) / p.Grain * p.Grain
	end := p.To
	if p.Due-e.v.Now < soon && p.Fragment > p.From {
		end = min(end, p.Fragment)
	}
	to := p.From + n
	to -= to % p.Grain // a leaf is whole where its end is a multiple
	if to <= p.From {
		to += p.Grain
	}
	if end-to < sliver {
		to = end
	}
	return to - p.From
}

// quickest is the holder, not asked yet, that would bring n bytes first; -1 if there is none.
func (e *estimate) quickest(p *Piece, n int64, roomy bool) int {
	best, bestT := -1, time.Duration(math.MaxInt64)
	for _, h := range untried(p) {
		if !e.v.Stores[h].Up() || roomy && !e.room(h) {
			continue
		}
		if t := e.takes(h, n); e.before(h, t, best, bestT) {
			best, bestT = h, t
		}
	}
	return best
}

// before reports whether store a with a time is better than b with its; the seed decides
// where they are the same.
func (e *estimate) before(a int, ta time.Duration, b int, tb time.Duration) bool {
	if b < 0 || ta/coarse != tb/coarse {
		return b < 0 || ta < tb
	}
	return e.mark(a) < e.mark(b)
}

// mark orders stores for this client alone.
func (e *estimate) mark(store int) uint64 {
	id := e.v.Stores[store].Store
	h := e.seed
	for _, b := range id {
		h = (h ^ uint64(b)) * 1099511628211 // FNV-1a
	}
	return h
}

// leastUsed is the holder with room that has brought the least of those that would end within
// a time, and is asked for the least; best, where none is before it.
func (e *estimate) leastUsed(p *Piece, best int, within time.Duration) int {
	used := func(h int) int64 { return e.v.Stores[h].Bytes + e.v.Stores[h].Pending }
	for _, h := range p.Holders {
		if e.v.Stores[h].Up() && e.roomFor(p, h) && used(h) < used(best) && e.takes(h, e.size(p, h)) <= within {
			best = h
		}
	}
	return best
}

// quickerFull reports whether a holder that has no room now would bring n bytes sooner.
func (e *estimate) quickerFull(p *Piece, store int, n int64, t time.Duration) bool {
	return slices.ContainsFunc(p.Holders, func(h int) bool {
		return h != store && e.v.Stores[h].Up() && !e.room(h) && e.takes(h, n) < t
	})
}

// others is how long the other holders need for all that they owe and all that is unasked.
func (e *estimate) others(p *Piece, store int) time.Duration {
	var bytes, rate float64
	for _, h := range p.Holders {
		if s := &e.v.Stores[h]; h != store && s.Up() {
			bytes += float64(s.Pending)
			rate += e.rates[h]
		}
	}
	if rate == 0 {
		return math.MaxInt64
	}
	return seconds((bytes + float64(e.unasked)) / rate)
}

// attempt is how long a running one will take.
func (e *estimate) attempt(a *Attempt) time.Duration {
	s := &e.v.Stores[a.Store]
	if s.Ejected {
		return gone
	}
	idle := e.v.Now - a.Progress
	if !a.Answered {
		idle = max(idle, e.latency(a.Store)) // the rest of the latency, or what it is late by
		idle -= min(e.v.Now-a.Started, e.latency(a.Store))
	}
	return idle + seconds(float64(a.Before+a.Left())/e.rates[a.Store])
}

// rest is how long a piece will take: as long as the slowest of the quickest that it needs.
func (e *estimate) rest(p *Piece) time.Duration {
	all := make([]time.Duration, 0, len(p.Running))
	for i := range p.Running {
		all = append(all, e.attempt(&p.Running[i]))
	}
	need := p.Need - p.Done
	if len(all) < need {
		return gone
	}
	slices.Sort(all)
	return all[need-1]
}

// meet is where a store would take over a piece so that it ends when the best of the
// attempts does, and when that is. A cut at From or before means all of it, beside.
func (e *estimate) meet(p *Piece, store int) (cut int64, end time.Duration) {
	whole := e.takes(store, p.Left())
	if p.Need > 1 {
		return p.From, whole
	}
	at, soonest, rate := int64(0), time.Duration(math.MaxInt64), 1.0
	for i := range p.Running {
		a := &p.Running[i]
		if t := e.attempt(a); t < soonest && !e.v.Stores[a.Store].Ejected {
			at, soonest, rate = a.At, t, e.rates[a.Store]
		}
	}
	if soonest == math.MaxInt64 {
		return p.From, whole
	}
	mine := e.rates[store]
	// Of x bytes less the attempt ends at soonest − x/rate, the store at its start + x/mine.
	begin := e.takes(store, 0)
	x := (soonest - begin).Seconds() / (1/rate + 1/mine)
	if x <= sliver {
		return p.To, math.MaxInt64
	}
	if float64(p.To-at)-x < sliver {
		return p.From, whole
	}
	cut = p.To - int64(x)
	cut -= cut % min(p.Grain, 8<<10)
	return cut, begin + seconds(float64(p.To-cut)/mine)
}

// newSeed is another one for each client.
func newSeed() uint64 { return new(maphash.Hash).Sum64() }
