package policy

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// SmartName names the policy that NewSmart makes.
const SmartName = "smart"

const (
	// lateMargin is how long before it is due a piece has to end so as not to count as late.
	lateMargin = 750 * time.Millisecond
	// soon is when a fragment is so near that nothing behind it is asked for with it.
	soon = 2 * time.Second
	// near is how soon a fragment is due that nothing behind it may delay.
	near = time.Second
	// ahead is how long before it is due a piece makes way where a store's round trip has grown by
	// queueing; from unhurried on it is a download's.
	ahead, unhurried = 7 * time.Second, 30 * time.Minute
	queueing         = 20 * time.Millisecond
	// pullMin and pullMax bound one request; pullTime is what it should take.
	pullMin, pullMax = 64 << 10, 512 << 10
	pullTime         = 250 * time.Millisecond
	// roomTime is how much a store may owe beyond a round trip's worth.
	roomTime = 50 * time.Millisecond
	// minGain is the least that a steal must win; when nothing is late also gainPart of
	// what the piece would take, and while what came twice is at most extraPart.
	minGain   = 30 * time.Millisecond
	gainPart  = 0.2
	extraPart = 0.03
	// unknownGain is how long a piece must take for a store to take it over of which nothing
	// is known.
	unknownGain = 300 * time.Millisecond
	// sliver is too little to ask for by itself.
	sliver = 16 << 10
	// lookAgain is how often running pieces are looked at although nothing happens.
	lookAgain = 50 * time.Millisecond
	// dialPatience is how long a piece waits for a connection before it is asked for all
	// the same, which has TCP tried.
	dialPatience = 350 * time.Millisecond
)

// Smart gives each store as much as it can send, and moves work when it falls behind. In
// the order in which pieces are due:
//
//	SILENT  all attempts of a piece are silent (max(3 PTO, 200 ms)): eject their stores and
//	        ask the holder that would answer first.
//	RESCUE  a running piece would end later than three quarters of a second before it is
//	        due: a store with room takes its tail, before anything new is begun.
//	HOLD    while such a piece is due within a second, or playback waits, nothing that is due
//	        later is begun: stores that share a link would take it from what is waited for.
//	PULL    an unasked piece goes in ranges to the holders with room that would answer
//	        first: a quarter of a second of the store's rate, 64 to 512 KiB, near its end
//	        half of the store's part of what is left. A slow store is passed over if the
//	        others would be through with everything before it is.
//	YIELD   while anything runs, what is due after more than seven seconds is asked of no store whose
//	        round trip has grown by 20 ms: packets wait on its link, and perhaps for somebody who
//	        needs them sooner.
//	BALANCE where there is time, of the holders that would take no more than half as long again
//	        the one that has brought the least.
//	STEAL   a store with room and nothing to pull takes over a tail so that both ends meet;
//	        where almost nothing is left it is asked for the whole rest beside the other.
//
// What cut, cancelled or broken attempts brought counts, so that a steal costs what is under
// way and no more.
type Smart struct {
	seed uint64
}

// NewSmart makes the policy. Clients with other seeds prefer other stores among equals, so
// that many that start at once do not all ask the same one.
func NewSmart(seed uint64) *Smart { return &Smart{seed} }

// Name is SmartName.
func (*Smart) Name() string { return SmartName }

// Decide implements Policy.
func (s *Smart) Decide(v View) Decision {
	t := newTurn(&v, s.seed)
	for i := range v.Pieces {
		t.silent(&v.Pieces[i])
	}
	// held is when the first fragment is due that is late or nearly so.
	held := time.Duration(math.MaxInt64)
	for i := range v.Pieces {
		p := &v.Pieces[i]
		if p.Due <= v.Now {
			held = min(held, v.Now)
		}
		switch {
		case t.acted[p.ID]:
		case p.Due > held && len(p.Running) == 0: // HOLD
		case len(p.Running) >= p.Need-p.Done:
			if t.rescue(p) && p.Due < v.Now+near {
				held = min(held, p.Due)
			}
		default:
			t.pull(p)
		}
	}
	if len(t.d.Actions) == 0 {
		t.steal()
	}
	for i := range v.Pieces {
		if len(v.Pieces[i].Running) > 0 {
			t.d.wakeBy(v.Now + lookAgain)
		}
	}
	return t.d
}

// turn is one decision.
type turn struct {
	estimate
	d     Decision
	acted map[uint64]bool // pieces, which the runtime changes by the first action
}

func newTurn(v *View, seed uint64) *turn {
	return &turn{estimate: newEstimate(v, seed), acted: map[uint64]bool{}}
}

func (t *turn) act(p *Piece, a Action) {
	a.Piece = p.ID
	if a.Urgency = UrgencyDefault; p.Due-t.v.Now < soon {
		a.Urgency = UrgencyLate
	}
	t.d.Actions = append(t.d.Actions, a)
	t.acted[p.ID] = true
	t.v.Stores[a.Store].Pending += a.Length
	t.v.Stores[a.Store].InFlight++
	t.running++
}

// silent replaces attempts whose stores have all fallen silent.
func (t *turn) silent(p *Piece) {
	if len(p.Running) == 0 || len(p.Running) < p.Need-p.Done {
		return
	}
	for _, a := range p.Running {
		s := &t.v.Stores[a.Store]
		if until := silentAt(*s, a, t.v.Now); t.v.Now < until {
			t.d.wakeBy(until)
			return
		}
	}
	for _, a := range p.Running {
		s := &t.v.Stores[a.Store]
		if !s.Ejected && t.v.Now-s.Silence <= a.Progress { // the store, not one of its answers
			t.d.Actions = append(t.d.Actions, Action{Kind: Eject, Store: a.Store})
			s.Ejected = true
		}
	}
	if best := t.quickest(p, p.Left(), false); best >= 0 && !p.Whole {
		t.act(p, Action{Kind: Start, Store: best, From: p.From, Length: p.Left()})
	}
}

// late reports whether a piece that ends in rest would come too late, or nearly so.
func (t *turn) late(p *Piece, rest time.Duration) bool {
	return t.v.Now+rest > p.Due-lateMargin
}

// rescue moves a piece that would end too late, and reports whether it would.
func (t *turn) rescue(p *Piece) bool {
	rest := t.rest(p)
	late := t.late(p, rest)
	if late {
		t.move(p, rest, true)
	}
	return late
}

// pull begins a piece, or the head of it.
func (t *turn) pull(p *Piece) {
	if p.Whole || p.Need > 1 {
		t.pullAll(p)
		return
	}
	best, bestN, bestT := -1, int64(0), time.Duration(math.MaxInt64)
	anyUp := false
	for _, h := range p.Holders {
		if !t.v.Stores[h].Up() {
			continue
		}
		anyUp = true
		if n := t.size(p, h); t.roomFor(p, h) && t.before(h, t.takes(h, n), best, bestT) {
			best, bestN, bestT = h, n, t.takes(h, n)
		}
	}
	if best >= 0 && p.Due-t.v.Now >= soon {
		best = t.leastUsed(p, best, bestT+bestT/2)
		bestN = t.size(p, best)
		bestT = t.takes(best, bestN)
	}
	switch {
	case !anyUp:
		t.unreachable(p)
	case best < 0:
		// Bytes that come make room, and have the policy asked again.
	case t.quickerFull(p, best, bestN, bestT) && bestT > t.others(p, best):
		// The others are through with everything before it is, and the quicker one will have
		// room soon.
	default:
		t.act(p, Action{Kind: Start, Store: best, From: p.From, Length: bestN})
		t.unasked -= bestN
	}
}

// pullAll asks as many holders as a piece needs for all of it: the runtime takes no part.
func (t *turn) pullAll(p *Piece) {
	var up []int
	for _, h := range untried(p) {
		if t.v.Stores[h].Up() {
			up = append(up, h)
		}
	}
	slices.SortStableFunc(up, func(a, b int) int { return cmp.Compare(t.takes(a, p.Left()), t.takes(b, p.Left())) })
	want := p.Need - p.Done - len(p.Running)
	for _, h := range up {
		if want > 0 && (t.room(h) || t.late(p, t.takes(h, p.Left()))) {
			t.act(p, Action{Kind: Start, Store: h, From: p.From, Length: p.Left()})
			want--
		}
	}
	if len(up) == 0 && len(p.Running) == 0 {
		t.unreachable(p)
	}
}

// unreachable is for a piece none of whose holders is connected: after a while one is
// asked all the same.
func (t *turn) unreachable(p *Piece) {
	if ripe := p.Arrived + dialPatience; t.v.Now < ripe {
		t.d.wakeBy(ripe)
		return
	}
	candidates := best(t.v, untried(p))
	if len(candidates) == 0 {
		return
	}
	h := candidates[p.ID%uint64(len(candidates))]
	if t.v.Stores[h].InFlight > 0 && !p.Whole && p.Need == 1 {
		t.d.wakeBy(t.v.Now + lookAgain)
		return
	}
	n := p.Left()
	if !p.Whole && p.Need == 1 {
		n = min(n, pullMax)
	}
	t.act(p, Action{Kind: Start, Store: h, From: p.From, Length: n})
}

// steal moves a tail in the earliest fragment in which that gains.
func (t *turn) steal() {
	for i := 0; i < len(t.v.Pieces); {
		// The pieces of a fragment lie side by side; the one that ends last holds it up.
		j, last, longest := i, -1, time.Duration(0)
		for ; j < len(t.v.Pieces) && t.v.Pieces[j].Chunk == t.v.Pieces[i].Chunk && t.v.Pieces[j].Fragment == t.v.Pieces[i].Fragment; j++ {
			p := &t.v.Pieces[j]
			if len(p.Running) == 0 || len(p.Running) < p.Need-p.Done || t.acted[p.ID] {
				continue
			}
			if rest := t.rest(p); last < 0 || rest > longest {
				last, longest = j, rest
			}
		}
		if last >= 0 && t.move(&t.v.Pieces[last], longest, t.late(&t.v.Pieces[last], longest)) {
			return
		}
		i = j
	}
}

// move has a store with room take over the tail of a piece that would take rest.
func (t *turn) move(p *Piece, rest time.Duration, late bool) bool {
	if p.Whole {
		return false
	}
	thrifty := float64(t.v.Spent.Extra) <= extraPart*float64(t.v.Spent.Useful)
	if !late && !thrifty {
		return false
	}
	thief, cut, end := -1, int64(0), time.Duration(math.MaxInt64)
	for _, h := range untried(p) {
		if !t.v.Stores[h].Up() || !t.roomFor(p, h) || !t.v.Stores[h].Sampled && rest < unknownGain {
			continue
		}
		if c, e := t.meet(p, h); e < end {
			thief, cut, end = h, c, e
		}
	}
	gain := rest - end
	if thief < 0 || gain < minGain || !late && gain.Seconds() < gainPart*rest.Seconds() {
		return false
	}
	if p.Need > 1 || cut <= p.From {
		t.act(p, Action{Kind: Start, Store: thief, From: p.From, Length: p.Left()})
		return true
	}
	t.act(p, Action{Kind: Take, Store: thief, From: cut, Length: p.To - cut})
	return true
}
