package doors

import (
	"context"
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestDoorsOutliveTheLeader(t *testing.T) {
	lost := false
	d := New(func(context.Context) ([]wire.Node, error) {
		if lost {
			return nil, errors.New("no leader")
		}
		return []wire.Node{{Host: "h1", Stores: []wire.NodeStore{{Report: &wire.StoreReport{Browser: &wire.BrowserDoor{Addr: "h1:9081"}}}}}}, nil
	})
	if got := d.List(); len(got) != 1 {
		t.Fatalf("doors %+v", got)
	}
	lost, d.at = true, d.at.Add(-age)
	if got := d.List(); len(got) != 1 {
		t.Errorf("without an answer the doors are %+v", got)
	}
}

func TestWhatIsKnownIsNotAskedForAnew(t *testing.T) {
	asked := 0
	d := New(func(context.Context) ([]wire.Node, error) {
		asked++
		return []wire.Node{{Host: "h1", Stores: []wire.NodeStore{{Report: &wire.StoreReport{Browser: &wire.BrowserDoor{Addr: "h1:9081"}}}}}}, nil
	})
	if got := d.Known(); len(got) != 1 || asked != 1 {
		t.Fatalf("at first %+v, asked %d times", got, asked)
	}
	d.at = d.at.Add(-2 * age)
	if got := d.Known(); len(got) != 1 || asked != 1 {
		t.Errorf("later %+v, asked %d times", got, asked)
	}
	d.at = d.at.Add(-knownAge)
	if got := d.Known(); len(got) != 1 || asked != 2 {
		t.Errorf("much later %+v, asked %d times", got, asked)
	}
}

// TestDoorsOutliveANewLeaderThatHasHeardOfNone, but not those of stores that are down or say that
// they have none.
func TestDoorsOutliveANewLeaderThatHasHeardOfNone(t *testing.T) {
	var stores []wire.NodeStore
	for i := range 3 {
		s := wire.NodeStore{Report: &wire.StoreReport{Browser: &wire.BrowserDoor{Addr: "h1:908" + string(rune('1'+i))}}}
		s.ID = vstack.StoreID{byte(i + 1)}
		stores = append(stores, s)
	}
	d := New(func(context.Context) ([]wire.Node, error) { return []wire.Node{{Host: "h1", Stores: stores}}, nil })
	if got := d.List(); len(got) != 3 {
		t.Fatalf("doors %+v", got)
	}
	stores[0].Report, stores[1].Report, stores[1].State, stores[2].Report = nil, nil, vstack.StoreDown, &wire.StoreReport{}
	d.at = d.at.Add(-age)
	if got := d.List(); len(got) != 1 || got[0].Addr != "h1:9081" {
		t.Errorf("doors %+v, want that of the store of which nothing was heard", got)
	}
}
