package policy

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func store(i byte) vstack.StoreID { return vstack.StoreID{i} }

// up is a store with a fast connection and nothing pending.
func up(i byte) Signals {
	return Signals{Store: store(i), State: vstack.StoreUp, Link: LinkQUIC, Measured: true, RTT: 500 * time.Microsecond, Silence: time.Hour}
}

// view shows pieces of 1,000 bytes that every store holds, unless they say otherwise.
func view(now time.Duration, stores []Signals, pieces ...Piece) View {
	for i := range pieces {
		p := &pieces[i]
		if p.Holders == nil {
			for i := range stores {
				p.Holders = append(p.Holders, i)
			}
		}
		if p.To == 0 {
			p.To = 1000
		}
		if p.Size == 0 {
			p.Size, p.Fragment = p.To, p.To
		}
		p.Need, p.Grain = max(p.Need, 1), max(p.Grain, 1)
	}
	return View{Now: now, Stores: slices.Clone(stores), Pieces: pieces}
}

func started(d Decision) (at []int) {
	for _, a := range d.Actions {
		if a.Kind == Start {
			at = append(at, a.Store)
		}
	}
	return at
}

func TestSimplePicks(t *testing.T) {
	with := func(i byte, change func(*Signals)) Signals {
		s := up(i)
		change(&s)
		return s
	}
	cases := []struct {
		name   string
		stores []Signals
		want   byte
	}{
		{"the one with fewest pending bytes", []Signals{with(1, func(s *Signals) { s.Pending = 10 }), with(2, func(s *Signals) { s.Pending = 5; s.RTT = time.Second })}, 2},
		{"then the nearest", []Signals{with(1, func(s *Signals) { s.RTT = 40 * time.Millisecond }), with(2, func(s *Signals) { s.RTT = 8 * time.Millisecond })}, 2},
		{"connected before unconnected", []Signals{with(1, func(s *Signals) { s.Link = LinkIdle }), with(2, func(s *Signals) { s.Pending = 1 << 20 })}, 2},
		{"over TCP before unconnected", []Signals{with(1, func(s *Signals) { s.Link = LinkDialing }), with(2, func(s *Signals) { s.Link = LinkTCP })}, 2},
		{"ejected last", []Signals{with(1, func(s *Signals) { s.Ejected = true }), with(2, func(s *Signals) { s.Link = LinkDialing; s.State = vstack.StoreDown })}, 2},
		{"unreachable last", []Signals{with(1, func(s *Signals) { s.Link = LinkDown }), with(2, func(s *Signals) { s.State = vstack.StoreDown })}, 2},
		{"an ejected one rather than none", []Signals{with(1, func(s *Signals) { s.Ejected = true })}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := NewSimple().Decide(view(time.Second, c.stores, Piece{ID: 1}))
			if got := started(d); !slices.Equal(got, []int{int(c.want) - 1}) {
				t.Errorf("started at %v, want %v", got, c.want)
			}
			if d.Wake <= time.Second {
				t.Errorf("wakes at %v", d.Wake)
			}
		})
	}
}

func TestSimpleTakesTurnsAmongEquals(t *testing.T) {
	stores := []Signals{up(1), up(2), up(3)}
	stores[1].RTT = 900 * time.Microsecond // below the resolution
	used := map[int]int{}
	for id := range uint64(30) {
		used[started(NewSimple().Decide(view(0, stores, Piece{ID: id})))[0]]++
	}
	for i := range 3 {
		if used[i] != 10 {
			t.Errorf("store %d was used %d times of 30", i, used[i])
		}
	}
	// Pieces of one decision count against each other.
	at := started(NewSimple().Decide(view(0, stores, Piece{ID: 1}, Piece{ID: 2}, Piece{ID: 3})))
	slices.SortFunc(at, cmp.Compare)
	if !slices.Equal(at, []int{0, 1, 2}) {
		t.Errorf("three pieces at once went to %v", at)
	}
}

func TestSimpleHedges(t *testing.T) {
	const now = 10 * time.Second
	patience := up(1).Patience()
	if patience != minPatience {
		t.Fatalf("patience %v with a short path", patience)
	}
	run := func(silence, idle time.Duration, holders ...byte) (Decision, []int) {
		s := []Signals{up(1), up(2)}
		s[0].Silence = silence
		p := Piece{ID: 1, Running: []Attempt{{Store: 0, Started: now - idle, Progress: now - idle}}}
		for _, h := range holders {
			p.Holders = append(p.Holders, int(h)-1)
		}
		d := NewSimple().Decide(view(now, s, p))
		return d, started(d)
	}
	t.Run("not while bytes come", func(t *testing.T) {
		d, at := run(0, patience/2, 1, 2)
		if at != nil || d.Wake <= now || d.Wake > now+patience {
			t.Errorf("started %v, wakes at %v", at, d.Wake)
		}
	})
	t.Run("when the store is silent", func(t *testing.T) {
		d, at := run(patience, patience, 1, 2)
		if !slices.Equal(at, []int{1}) || d.Actions[0].Urgency != UrgencyHedge {
			t.Errorf("actions %+v", d.Actions)
		}
	})
	t.Run("not when others of its answers come", func(t *testing.T) {
		if _, at := run(0, patience, 1, 2); at != nil {
			t.Errorf("started %v", at)
		}
	})
	t.Run("when one request is stuck among others", func(t *testing.T) {
		if _, at := run(0, stuckFactor*patience, 1, 2); !slices.Equal(at, []int{1}) {
			t.Errorf("started %v", at)
		}
	})
	t.Run("not without another holder", func(t *testing.T) {
		if d, at := run(time.Hour, time.Hour, 1); at != nil || d.Wake != 0 {
			t.Errorf("started %v, wakes at %v", at, d.Wake)
		}
	})
	t.Run("never the same store twice", func(t *testing.T) {
		s := []Signals{up(1), up(2)}
		p := Piece{ID: 1, Running: []Attempt{{Store: 0}, {Store: 1}}}
		if at := started(NewSimple().Decide(view(now, s, p))); at != nil {
			t.Errorf("started %v", at)
		}
	})
}

func TestPatienceFollowsThePath(t *testing.T) {
	s := Signals{Measured: true, RTT: 150 * time.Millisecond, RTTVar: 20 * time.Millisecond}
	if pto := s.PTO(); pto != 255*time.Millisecond {
		t.Errorf("PTO %v", pto)
	}
	if p := s.Patience(); p != 765*time.Millisecond {
		t.Errorf("patience %v, want three PTOs", p)
	}
	if p := (Signals{RTT: 100 * time.Millisecond}).Patience(); p != 2*minPatience {
		t.Errorf("patience before the first sample: %v", p)
	}
}

func TestGoodputBelievesTheWorse(t *testing.T) {
	for _, c := range []struct{ fast, slow, want float64 }{{0, 0, 0}, {5, 0, 5}, {5, 9, 5}, {9, 5, 5}} {
		if got := (Signals{Fast: c.fast, Slow: c.slow}).Goodput(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestByName(t *testing.T) {
	for _, name := range append(Names(), "") {
		p, err := ByName(name)
		if err != nil || name != "" && p.Name() != name {
			t.Errorf("%q: %v, %v", name, p, err)
		}
	}
	if _, err := ByName("best"); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("an unknown policy: %v", err)
	}
}
