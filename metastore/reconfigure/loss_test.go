package reconfigure

import (
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func (w *world) losses() []Loss {
	w.t.Helper()
	out, err := w.planner.Losses(State{Map: w.m, Wanted: w.wanted, Amnesia: w.amnesia, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestGroupsThatLostTwoAcceptorsMayBeginWithoutThem(t *testing.T) {
	w := newWorld(t, 3, 1, 0)
	if got := w.losses(); len(got) != 0 {
		t.Fatalf("nothing is lost: %+v", got)
	}
	w.store(id(0, 0)).State = vstack.StoreDown
	if got := w.losses(); len(got) != 0 {
		t.Fatalf("two of three are a majority: %+v", got)
	}
	w.store(id(1, 0)).State = vstack.StoreDown
	got := w.losses()
	if len(got) != vstack.PlacementGroups || len(got[0].Down) != 2 || got[0].Targets != nil {
		t.Fatalf("%d groups, the first %+v: one store is no majority of the next epoch either", len(got), got[0])
	}
	// A new host makes one that is.
	w.m.Stores = append(w.m.Stores, vstack.Store{ID: id(7, 0), Host: "h8", State: vstack.StoreUp})
	for _, l := range w.losses() {
		if !slices.Contains(l.Targets, id(7, 0)) || !slices.Contains(l.Targets, id(2, 0)) || l.From != 1 || l.To != 2 {
			t.Fatalf("%+v", l)
		}
	}
}

func TestAnEpochThatBeginsWithoutVotesIsBeyondEveryPreparedOne(t *testing.T) {
	w := newWorld(t, 3, 1, 0)
	w.look(0)
	w.m.Groups[9].Next = &vstack.NextEpoch{Epoch: 2, Attempt: 3, Targets: w.m.Groups[9].Targets, Driver: w.m.Groups[9].Targets[0]}
	w.now = w.now.Add(time.Minute)
	for n := range 2 {
		w.amnesia[id(n, 0)] = Report{[]vstack.PG{9}, w.now}
	}
	got := w.losses()
	if len(got) != 1 || got[0].PG != 9 || len(got[0].Amnesic) != 2 || got[0].To != 3 || !slices.Equal(got[0].Targets, w.m.Groups[9].Targets) {
		t.Fatalf("%+v", got)
	}
}
