package doors

import (
	"context"
	"errors"
	"testing"

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
