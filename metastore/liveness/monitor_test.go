package liveness

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func storeID(host, n int) vstack.StoreID { return vstack.StoreID{0xaa, byte(host), byte(n)} }

func heartbeatOf(host int, lsn vstack.LSN) wire.Heartbeat {
	hb := wire.Heartbeat{Host: vstack.HostID(fmt.Sprintf("h%d", host+1))}
	for n := range 2 {
		hb.Stores = append(hb.Stores, wire.StoreReport{ID: storeID(host, n), LSN: lsn})
	}
	return hb
}

func TestMonitorRules(t *testing.T) {
	m := New(Config{SuspectAfter: 3 * time.Second, DownAfter: 10 * time.Second, EchoEvery: 30 * time.Second, Tick: 250 * time.Millisecond})
	term := uint64(4)
	now := time.Unix(1000, 0)
	stores := []catalog.Store{{Store: vstack.Store{ID: storeID(0, 0), State: vstack.StoreUp}}, {Store: vstack.Store{ID: storeID(0, 1), State: vstack.StoreUp}}, {Store: vstack.Store{ID: storeID(1, 0), State: vstack.StoreUp}}}
	apply := func(p command.SetLivenessPayload) command.SetLivenessPayload {
		for _, s := range p.States {
			for i := range stores {
				if stores[i].ID == s.ID {
					stores[i].State = s.State
				}
			}
		}
		return p
	}
	run := func(d time.Duration) (all []command.StoreLiveness, echoes int) {
		for end := now.Add(d); now.Before(end); {
			now = now.Add(250 * time.Millisecond)
			p := apply(m.Judge(term, stores, now))
			all, echoes = append(all, p.States...), echoes+len(p.Echoes)
		}
		return all, echoes
	}
	m.Judge(term, stores, now)
	m.Record(term, heartbeatOf(0, 50), now)
	if got, _ := run(2500 * time.Millisecond); len(got) != 0 {
		t.Fatalf("within the suspicion: %v", got)
	}
	if got, echoes := run(time.Second); len(got) != 2 || got[0].State != vstack.StoreSuspect || echoes != 2 {
		t.Fatalf("after 3 s of silence: %v, %d echoes", got, echoes)
	}
	if m.Echo(storeID(0, 0), 7) != 50 || m.Echo(storeID(1, 0), 7) != 7 {
		t.Error("echo is not the highest of what is committed and what was heard")
	}
	// The process stands still: nobody is blamed for it.
	now = now.Add(time.Minute)
	if got := apply(m.Judge(term, stores, now)); len(got.States) != 0 {
		t.Fatalf("after a standstill: %v", got.States)
	}
	// Stores that this leader never heard of go down, after DownAfter and at once.
	if got, _ := run(6 * time.Second); len(got) != 0 {
		t.Fatalf("before DownAfter: %v", got)
	}
	got, _ := run(2 * time.Second)
	if len(got) != 3 {
		t.Fatalf("after DownAfter: %v", got)
	}
	for _, s := range got {
		if s.State != vstack.StoreDown {
			t.Errorf("%v", s)
		}
	}
	// A new term begins with an empty memory.
	term++
	stores[0].State, stores[1].State, stores[2].State = vstack.StoreUp, vstack.StoreUp, vstack.StoreUp
	if got, _ := run(9 * time.Second); len(got) != 0 {
		t.Fatalf("a new leader judges at once: %v", got)
	}
	// Echoes alone are committed once in EchoEvery.
	m.Record(term, heartbeatOf(0, 90), now)
	total := 0
	for range 240 {
		m.Record(term, heartbeatOf(0, 90), now)
		m.Record(term, heartbeatOf(1, 90), now)
		_, n := run(250 * time.Millisecond)
		total += n
	}
	if total < 3 || total > 9 {
		t.Errorf("%d echoes of three stores in a minute", total)
	}
}

func TestSilenceIsCountedOnlyWhileTheLeaderListens(t *testing.T) {
	m := New(Config{SuspectAfter: 3 * time.Second, DownAfter: 10 * time.Second, EchoEvery: 30 * time.Second, Tick: 250 * time.Millisecond})
	now, stores := time.Unix(1000, 0), []catalog.Store{{Store: vstack.Store{ID: storeID(0, 0), State: vstack.StoreUp}}}
	listen := func(term uint64, d time.Duration) {
		for end := now.Add(d); now.Before(end); {
			now = now.Add(250 * time.Millisecond)
			m.Judge(term, stores, now)
		}
	}
	m.Judge(4, stores, now)
	m.Record(4, heartbeatOf(0, 1), now)
	listen(4, time.Minute)
	if got := m.Silence(4, storeID(0, 0), now); got != time.Minute {
		t.Fatalf("after a minute: %s", got)
	}
	if got := m.Silence(4, storeID(7, 0), now); got != time.Minute {
		t.Fatalf("of a store that it never heard of: %s", got)
	}
	// The process is stopped for an hour. Before the next judgement it knows nothing.
	now = now.Add(time.Hour)
	if got := m.Silence(4, storeID(0, 0), now); got != 0 {
		t.Fatalf("right after a standstill: %s", got)
	}
	m.Judge(4, stores, now)
	if got := m.Silence(4, storeID(0, 0), now); got != time.Minute {
		t.Fatalf("a standstill counts as silence: %s", got)
	}
	// A new leader counts from its own beginning, and an old term's question is not answered.
	listen(5, time.Second)
	if got := m.Silence(5, storeID(0, 0), now); got > time.Second {
		t.Fatalf("by a new leader: %s", got)
	}
	if got := m.Silence(4, storeID(0, 0), now); got != 0 {
		t.Fatalf("of a past term: %s", got)
	}
}

func TestAmnesiaIsTheLastReports(t *testing.T) {
	m, now := New(Config{Tick: time.Second}), time.Unix(1000, 0)
	hb := heartbeatOf(0, 1)
	hb.Stores[1].Amnesic = []vstack.PG{3, 5}
	m.Record(1, hb, now)
	if got := m.Amnesia(); len(got) != 1 || len(got[storeID(0, 1)].Groups) != 2 || !got[storeID(0, 1)].At.Equal(now) {
		t.Fatalf("%+v", got)
	}
	m.Record(1, heartbeatOf(0, 2), now)
	if got := m.Amnesia(); len(got) != 0 {
		t.Fatalf("after its groups moved: %+v", got)
	}
	m.Forget()
	if got := m.Amnesia(); len(got) != 0 {
		t.Fatalf("on a follower: %+v", got)
	}
}

// TestANewLeaderDoesNotSayUpOfWhomItNeverHeard: a host may have died together with the leader
// before. Until that is concluded it is shown as suspect, and no longer once it is heard.
func TestANewLeaderDoesNotSayUpOfWhomItNeverHeard(t *testing.T) {
	m := New(Config{SuspectAfter: 3 * time.Second, DownAfter: 10 * time.Second, EchoEvery: 30 * time.Second, Tick: time.Second})
	now := time.Unix(1000, 0)
	stores := []catalog.Store{{Store: vstack.Store{ID: storeID(0, 0), Host: "h1", State: vstack.StoreUp}}, {Store: vstack.Store{ID: storeID(1, 0), Host: "h2", State: vstack.StoreUp}}}
	states := func(after time.Duration) (out []vstack.StoreState) {
		for _, n := range m.Nodes(stores, now.Add(after)) {
			out = append(out, n.State, n.Stores[0].State)
		}
		return out
	}
	up, suspect := vstack.StoreUp, vstack.StoreSuspect
	if got := states(time.Hour); !slices.Equal(got, []vstack.StoreState{up, up, up, up}) {
		t.Errorf("a follower says what is committed: %v", got)
	}
	m.Judge(7, stores, now)
	if got := states(time.Second); !slices.Equal(got, []vstack.StoreState{up, up, up, up}) {
		t.Errorf("at the start of a term: %v", got)
	}
	m.Record(7, wire.Heartbeat{Host: "h1", Stores: []wire.StoreReport{{ID: storeID(0, 0)}}}, now.Add(2*time.Second))
	if got := states(4 * time.Second); !slices.Equal(got, []vstack.StoreState{up, up, suspect, suspect}) {
		t.Errorf("of whom nothing was heard: %v", got)
	}
}
