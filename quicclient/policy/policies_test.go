package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// table is a world without bytes: it applies actions as the runtime does.
type table struct {
	v    View
	next uint64
}

func newTable(stores int, pieces ...Piece) *table {
	tb := &table{next: 1000}
	for i := range stores {
		s := up(byte(i + 1))
		s.Conns, s.RTT = 2, 20*time.Millisecond
		tb.v.Stores = append(tb.v.Stores, s)
	}
	tb.v = view(10*time.Second, tb.v.Stores, pieces...)
	return tb
}

// settle asks the policy until it wants nothing more, and returns what it did.
func (tb *table) settle(t *testing.T, p Policy) (done []Action) {
	t.Helper()
	for range 100 {
		d := p.Decide(View{Now: tb.v.Now, Stores: slices.Clone(tb.v.Stores), Pieces: slices.Clone(tb.v.Pieces), Spent: tb.v.Spent})
		if len(d.Actions) == 0 {
			if d.Wake != 0 && d.Wake <= tb.v.Now {
				t.Errorf("%s wakes at %v, which is not after %v", p.Name(), d.Wake, tb.v.Now)
			}
			return done
		}
		for _, a := range d.Actions {
			tb.apply(t, p, a)
			done = append(done, a)
		}
	}
	t.Fatalf("%s never comes to rest: %+v", p.Name(), done[len(done)-5:])
	return nil
}

func (tb *table) apply(t *testing.T, p Policy, a Action) {
	t.Helper()
	if a.Kind == Eject {
		tb.v.Stores[a.Store].Ejected = true
		return
	}
	i := slices.IndexFunc(tb.v.Pieces, func(p Piece) bool { return p.ID == a.Piece })
	if i < 0 {
		t.Fatalf("%s: no such piece: %+v", p.Name(), a)
	}
	pc := &tb.v.Pieces[i]
	if pc.Tried(a.Store) || !slices.Contains(pc.Holders, a.Store) {
		t.Fatalf("%s asks a store twice, or one that does not hold it: %+v", p.Name(), a)
	}
	run := Attempt{Store: a.Store, At: a.From, To: a.From + a.Length, Started: tb.v.Now, Progress: tb.v.Now, Before: tb.v.Stores[a.Store].Pending}
	tb.v.Stores[a.Store].Pending += a.Length
	tb.v.Stores[a.Store].InFlight++
	switch {
	case a.Kind == Take:
		if len(pc.Running) == 0 || a.From <= pc.From || a.From >= pc.To || pc.Whole || pc.Need > 1 {
			t.Fatalf("%s takes %+v of %+v", p.Name(), a, *pc)
		}
		tail := *pc
		tb.next++
		tail.ID, tail.From, tail.Running = tb.next, a.From, []Attempt{run}
		for k := range pc.Running {
			tb.v.Stores[pc.Running[k].Store].Pending -= pc.Running[k].To - a.From
			pc.Running[k].To = a.From
		}
		pc.To = a.From
		tb.v.Pieces = slices.Insert(tb.v.Pieces, i+1, tail)
	case len(pc.Running) > 0 || pc.Whole || pc.Need > 1 || a.Length == pc.Left():
		pc.Running = append(slices.Clip(pc.Running), run)
	default:
		if a.From != pc.From || a.Length <= 0 || a.From+a.Length > pc.To {
			t.Fatalf("%s starts %+v of %+v", p.Name(), a, *pc)
		}
		rest := *pc
		tb.next++
		rest.ID, rest.From = tb.next, a.From+a.Length
		pc.To, pc.Running = rest.From, []Attempt{run}
		tb.v.Pieces = slices.Insert(tb.v.Pieces, i+1, rest)
	}
}

// whole2MiB is a chunk of leaves that is needed at due.
func whole2MiB(due time.Duration) Piece {
	return Piece{ID: 1, Chunk: 1, To: 2 << 20, Size: 2 << 20, Fragment: 512 << 10, Grain: 64 << 10, Due: due}
}

func TestEveryPolicyStartsWhatCanBeStarted(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			p, err := ByName(name)
			if err != nil || p.Name() != name {
				t.Fatalf("%v, %v", p, err)
			}
			tb := newTable(3, whole2MiB(0))
			if done := tb.settle(t, p); len(done) == 0 || len(tb.v.Pieces[0].Running) == 0 {
				t.Errorf("nothing was begun: %+v", done)
			}
			// A chunk of which one store has to bring all.
			one := whole2MiB(0)
			one.Whole = true
			tb = newTable(3, one)
			if done := tb.settle(t, p); len(done) != 1 || done[0].Length != 2<<20 {
				t.Errorf("whole: %+v", done)
			}
			// Of a row any three of five are enough.
			row := Piece{ID: 1, Chunk: 1, To: 64 << 10, Size: 192 << 10, Fragment: 192 << 10, Need: 3}
			tb = newTable(5, row)
			if done := tb.settle(t, p); len(done) < 3 {
				t.Errorf("three of five: %+v", done)
			}
			// Nobody is connected, for a while.
			tb = newTable(3, whole2MiB(0))
			for i := range tb.v.Stores {
				tb.v.Stores[i].Link = LinkDown
			}
			if done := tb.settle(t, p); len(done) == 0 {
				t.Error("a piece whose stores cannot be reached is never tried")
			}
		})
	}
}

// TestNoPolicyIsUpsetByWhatItIsShown asks all of them about situations drawn at random.
func TestNoPolicyIsUpsetByWhatItIsShown(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	links := []Link{LinkIdle, LinkDialing, LinkQUIC, LinkQUIC, LinkQUIC, LinkTCP, LinkDown}
	for n := range 300 {
		tb := newTable(1 + r.IntN(6))
		for i := range tb.v.Stores {
			s := &tb.v.Stores[i]
			s.Link, s.Ejected, s.State = links[r.IntN(len(links))], r.IntN(5) == 0, vstack.StoreUp
			s.Conns, s.InFlight, s.Busy = r.IntN(3), r.IntN(5), r.IntN(9)
			s.RTT, s.TTFB = time.Duration(r.Int64N(1e9)), time.Duration(r.Int64N(2e9))
			s.Silence, s.Busied = time.Duration(r.Int64N(2e9)), time.Duration(r.Int64N(2e9))
			s.Pending, s.Chunks, s.Errors = r.Int64N(4<<20), r.Int64N(5), r.Int64N(5)
			if r.IntN(3) > 0 {
				s.Sampled, s.Measured = true, true
				s.Fast, s.Slow, s.Recent = r.Float64()*1e7, r.Float64()*1e7, r.Float64()*1e7
			}
		}
		for k := range 1 + r.IntN(5) {
			from := r.Int64N(1 << 20)
			p := Piece{
				ID: uint64(k + 1), Chunk: uint64(k/2 + 1), From: from, To: from + 1 + r.Int64N(1<<20), Size: 2 << 20, Fragment: from + r.Int64N(1<<20),
				Grain: []int64{1, 64 << 10}[r.IntN(2)], Due: time.Duration(r.Int64N(20e9)), Whole: r.IntN(8) == 0, Need: 1,
			}
			for h := range tb.v.Stores {
				if r.IntN(4) > 0 {
					p.Holders = append(p.Holders, h)
				}
			}
			for _, h := range p.Holders {
				if r.IntN(4) == 0 && len(p.Running) == 0 {
					p.Running = append(p.Running, Attempt{Store: h, At: p.From, To: p.To, Started: tb.v.Now - time.Duration(r.Int64N(3e9)), Progress: tb.v.Now - time.Duration(r.Int64N(1e9))})
				}
			}
			tb.v.Pieces = append(tb.v.Pieces, p)
		}
		for _, name := range Names() {
			t.Run(fmt.Sprintf("%d %s", n, name), func(t *testing.T) {
				p, _ := ByName(name)
				one := &table{v: View{Now: tb.v.Now, Stores: slices.Clone(tb.v.Stores), Pieces: slices.Clone(tb.v.Pieces)}, next: 1000}
				one.settle(t, p)
			})
		}
	}
}
