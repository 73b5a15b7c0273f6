package policy

import (
	"testing"
	"time"
)

const mbit = 1e6 / 8 // bytes a second

// measured gives each store a rate.
func (tb *table) measured(rates ...float64) *table {
	for i, r := range rates {
		s := &tb.v.Stores[i]
		s.Sampled, s.Fast, s.Slow, s.Recent, s.TTFB = true, r, r, r, s.RTT
	}
	return tb
}

// running is a piece that a store has been asked for, with so much of it to come.
func running(id uint64, store int, from, to int64, due time.Duration) Piece {
	return Piece{
		ID: id, Chunk: 1, From: from, To: to, Size: 2 << 20, Fragment: 2 << 20, Grain: 64 << 10, Due: due,
		Running: []Attempt{{Store: store, At: from, To: to, Started: 9 * time.Second, Progress: 10 * time.Second, Answered: true}},
	}
}

func byStore(done []Action) map[int]int64 {
	n := map[int]int64{}
	for _, a := range done {
		n[a.Store] += a.Length
	}
	return n
}

func TestSmartGivesTheFirstFragmentToAll(t *testing.T) {
	done := newTable(3, whole2MiB(10*time.Second)).settle(t, NewSmart(1))
	n := byStore(done)
	if len(n) != 3 || n[0] != 128<<10 || n[1] != 128<<10 || n[2] != 128<<10 {
		t.Errorf("%v: want one range of 64 KiB for each of two connections a store", n)
	}
	for _, a := range done {
		if a.From >= 512<<10 || a.Urgency != UrgencyLate {
			t.Errorf("%+v: want the first fragment, first", a)
		}
	}
}

func TestSmartPassesASlowStoreOver(t *testing.T) {
	// At 2.5 Mbit/s 64 KiB take 0.2 s; the others are through with a fragment in less.
	done := newTable(3, Piece{ID: 1, Chunk: 1, To: 512 << 10, Size: 512 << 10, Fragment: 512 << 10, Grain: 64 << 10, Due: 40 * time.Second}).
		measured(50*mbit, 50*mbit, 2.5*mbit).settle(t, NewSmart(1))
	if n := byStore(done); n[2] != 0 || n[0] == 0 || n[1] == 0 {
		t.Errorf("bytes by store: %v", n)
	}
}

func TestSmartBalancesWhereThereIsTime(t *testing.T) {
	tb := newTable(4, whole2MiB(60*time.Second)).measured(50*mbit, 40*mbit, 45*mbit, 5*mbit)
	for i, brought := range []int64{9 << 20, 2 << 20, 5 << 20, 0} {
		tb.v.Stores[i].Bytes = brought
	}
	done := tb.settle(t, NewSmart(1))
	if done[0].Store != 1 { // the fourth has brought less, and would take four times as long
		t.Errorf("%+v first, want the store that has brought the least of those that are about as quick", done[0])
	}
	if p := tb.v.Stores[1].Pending; p >= 7<<20 {
		t.Errorf("it owes %d bytes", p)
	}
	tb = newTable(4, whole2MiB(11*time.Second)).measured(50*mbit, 40*mbit, 45*mbit, 5*mbit)
	tb.v.Stores[0].Bytes = 9 << 20
	if done := tb.settle(t, NewSmart(1)); done[0].Store != 0 {
		t.Errorf("%+v first, want the quickest for what is due in a second", done[0])
	}
}

func TestSmartFillsAPipeAndNoMore(t *testing.T) {
	tb := newTable(2, whole2MiB(60*time.Second)).measured(8*mbit, 8*mbit)
	tb.settle(t, NewSmart(1))
	for i := range tb.v.Stores {
		// 70 ms of 1 MB/s are 70 KB: the request that goes beyond is the last.
		if p := tb.v.Stores[i].Pending; p < 70_000 || p > 70_000+512<<10 {
			t.Errorf("store %d owes %d bytes", i, p)
		}
	}
}

func TestSmartEjectsWhoIsSilentAndAsksAnother(t *testing.T) {
	p := running(1, 0, 0, 512<<10, 60*time.Second)
	p.Running[0].Progress = 9 * time.Second
	tb := newTable(2, p).measured(8*mbit, 8*mbit)
	tb.v.Stores[0].Silence = time.Second
	done := tb.settle(t, NewSmart(1))
	if len(done) < 2 || done[0].Kind != Eject || done[0].Store != 0 || done[1].Kind != Start || done[1].Store != 1 || done[1].From != 0 {
		t.Errorf("%+v", done)
	}
	// One answer that is stuck while others of its store come is no reason to eject it.
	tb = newTable(2, running(1, 0, 0, 512<<10, 60*time.Second)).measured(8*mbit, 8*mbit)
	tb.v.Pieces[0].Running[0].Progress, tb.v.Stores[0].Silence = 5*time.Second, 0
	for _, a := range tb.settle(t, NewSmart(1)) {
		if a.Kind == Eject {
			t.Errorf("%+v", a)
		}
	}
}

func TestSmartMovesATailSoThatBothEndsMeet(t *testing.T) {
	// 1 MiB at 8 Mbit/s takes 1 s and more; a store of the same rate has nothing to do.
	tb := newTable(2, running(1, 0, 1<<20, 2<<20, 60*time.Second)).measured(8*mbit, 8*mbit)
	tb.v.Stores[0].Pending = 1 << 20
	done := tb.settle(t, NewSmart(1))
	if len(done) != 1 || done[0].Kind != Take || done[0].Store != 1 {
		t.Fatalf("%+v", done)
	}
	if cut := done[0].From; cut < 3<<19 || cut > 3<<19+64<<10 {
		t.Errorf("cut at %d, want a little behind the middle, %d", cut, 3<<19)
	}
	// The same where what came twice is more than 3 %: nothing that is not late moves.
	tb = newTable(2, running(1, 0, 1<<20, 2<<20, 60*time.Second)).measured(8*mbit, 8*mbit)
	tb.v.Spent = Spent{Useful: 100, Extra: 4}
	if done := tb.settle(t, NewSmart(1)); len(done) != 0 {
		t.Errorf("beyond the bound: %+v", done)
	}
	tb = newTable(2, running(1, 0, 1<<20, 2<<20, 10*time.Second)).measured(8*mbit, 8*mbit)
	tb.v.Spent = Spent{Useful: 100, Extra: 4}
	if done := tb.settle(t, NewSmart(1)); len(done) == 0 {
		t.Error("what is late was not moved")
	}
}

func TestSmartRescuesBeforeItBegins(t *testing.T) {
	late := running(1, 0, 0, 1<<20, 10*time.Second)
	next := Piece{ID: 2, Chunk: 2, To: 2 << 20, Size: 2 << 20, Fragment: 2 << 20, Grain: 64 << 10, Due: 14 * time.Second}
	tb := newTable(2, late, next).measured(1*mbit, 50*mbit)
	tb.v.Stores[0].Pending = 1 << 20
	done := tb.settle(t, NewSmart(1))
	if len(done) == 0 || done[0].Piece != 1 || done[0].Store != 1 {
		t.Errorf("%+v: want the late piece first", done)
	}
}

// TestSmartHoldsBackWhatComesLater has a fragment due soon that nobody can bring in time: what comes
// after it is left alone, so that it has the link to itself.
func TestSmartHoldsBackWhatComesLater(t *testing.T) {
	begun := func(due time.Duration) bool {
		// 1 MiB at 8 Mbit/s takes a second, and the other store of that rate is as busy.
		next := Piece{ID: 2, Chunk: 2, To: 2 << 20, Size: 2 << 20, Fragment: 2 << 20, Grain: 64 << 10, Due: due + 2*time.Second, Holders: []int{2}}
		tb := newTable(3, running(1, 0, 1<<20, 2<<20, due), next).measured(8*mbit, 8*mbit, 8*mbit)
		tb.v.Pieces[0].Holders = []int{0, 1}
		tb.v.Stores[0].Pending, tb.v.Stores[1].Pending = 1<<20, 4<<20
		for _, a := range tb.settle(t, NewSmart(1)) {
			if a.Piece == 2 {
				return true
			}
		}
		return false
	}
	if now := 10 * time.Second; begun(now + 900*time.Millisecond) {
		t.Error("the later one was begun beside one that is nearly late")
	} else if !begun(now + 5*time.Second) {
		t.Error("the later one was not begun beside one that has time")
	}
}

// TestSmartYieldsALinkOnWhichPacketsWait has two stores, one of which answers in its own round trip
// and one behind a queue.
func TestSmartYieldsALinkOnWhichPacketsWait(t *testing.T) {
	asked := func(due time.Duration, busy bool) map[int]int64 {
		first, next := whole2MiB(10*time.Second+due), whole2MiB(10*time.Second+due)
		next.ID, next.Chunk = 2, 2
		tb := newTable(2, first, next).measured(50*mbit, 8*mbit)
		for i := range tb.v.Stores {
			s := &tb.v.Stores[i]
			s.MinRTT, s.RTT = 20*time.Millisecond, 60*time.Millisecond
			if busy {
				s.InFlight = 1
			}
		}
		tb.v.Stores[1].RTT = 30 * time.Millisecond
		if !busy {
			tb.v.Stores[1].RTT = 60 * time.Millisecond
		}
		return byStore(tb.settle(t, NewSmart(1)))
	}
	if n := asked(10*time.Second, true); n[0] != 0 || n[1] == 0 {
		t.Errorf("bytes by store: %v: what has time goes over the link that has", n)
	}
	if n := asked(3*time.Second, true); n[0] == 0 {
		t.Errorf("bytes by store: %v: what is due soon yields to nobody", n)
	}
	if n := asked(time.Hour, true); n[0] == 0 {
		t.Errorf("bytes by store: %v: a download yields to nobody", n)
	}
	if n := asked(10*time.Second, false); n[0]+n[1] == 0 || n[0]+n[1] > pullMax {
		t.Errorf("bytes by store: %v: want one request where nothing runs and all links queue", n)
	}
}

// TestSmartKeepsLossyLinksBusyUnlessItIsTheQueue: packets that a full queue drops are no reason to send
// more.
func TestSmartKeepsLossyLinksBusyUnlessItIsTheQueue(t *testing.T) {
	asks := func(grown time.Duration) bool {
		tb := newTable(1, whole2MiB(13*time.Second)).measured(8 * mbit)
		s := &tb.v.Stores[0]
		s.Loss, s.MinRTT, s.RTT, s.InFlight, s.Pending = 0.05, 20*time.Millisecond, 20*time.Millisecond+grown, 1, 1<<20
		return len(tb.settle(t, NewSmart(1))) > 0
	}
	if !asks(0) || asks(60*time.Millisecond) {
		t.Errorf("second connection used: %v without a queue, %v with one", asks(0), asks(60*time.Millisecond))
	}
}

func TestSmartWaitsForAConnectionAWhile(t *testing.T) {
	tb := newTable(2, whole2MiB(0))
	for i := range tb.v.Stores {
		tb.v.Stores[i].Link, tb.v.Stores[i].Conns = LinkDialing, 0
	}
	tb.v.Pieces[0].Arrived = tb.v.Now - 100*time.Millisecond
	if done := tb.settle(t, NewSmart(1)); len(done) != 0 {
		t.Errorf("%+v", done)
	}
	tb.v.Pieces[0].Arrived = tb.v.Now - dialPatience
	if done := tb.settle(t, NewSmart(1)); len(done) != 1 {
		t.Errorf("%+v: want one range, which has TCP tried", done)
	}
}

func TestSeedsSpreadClients(t *testing.T) {
	first := map[int]int{}
	for seed := range uint64(90) {
		first[newTable(3, whole2MiB(10*time.Second)).settle(t, NewSmart(seed))[0].Store]++
	}
	for i := range 3 {
		if first[i] < 10 {
			t.Errorf("of 90 clients %d began with store %d", first[i], i)
		}
	}
}

// BenchmarkDecide is one decision of a process with 250 viewers, four chunks each.
func BenchmarkDecide(b *testing.B) {
	var pieces []Piece
	for i := range 1000 {
		p := running(uint64(i+1), i%6, 0, 256<<10, time.Duration(20+i%30)*time.Second)
		p.Chunk = uint64(i)
		pieces = append(pieces, p)
	}
	tb := newTable(6, pieces...).measured(50*mbit, 50*mbit, 50*mbit, 50*mbit, 50*mbit, 50*mbit)
	for i := range tb.v.Stores {
		tb.v.Stores[i].Pending = 100 << 20
	}
	s := NewSmart(1)
	b.ResetTimer()
	for range b.N {
		s.Decide(View{Now: tb.v.Now, Stores: tb.v.Stores, Pieces: tb.v.Pieces})
	}
}
