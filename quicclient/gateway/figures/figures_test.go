package figures

import (
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestRatesComeFromWhatStoresCount(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	node := func(started time.Time, read, reads int64) []wire.Node {
		s := vstack.Store{ID: vstack.StoreID{1}, State: vstack.StoreUp, Capacity: 100}
		return []wire.Node{{Stores: []wire.NodeStore{
			{Store: s, Report: &wire.StoreReport{Used: 7, ReadSize: read, Reads: reads, Started: started}},
			{Store: vstack.Store{ID: vstack.StoreID{2}, State: vstack.StoreDown, Capacity: 100}},
		}}}
	}
	m := &Meter{Sessions: func() int { return 3 }}
	f := m.of(node(start, 1000, 10), start)
	if _, rated := f["read"]; rated || f["up"] != 1 || f["capacity"] != 200 || f["used"] != 7 || f["sessions"] != 3 {
		t.Errorf("the first sample: %v", f)
	}
	f = m.of(node(start, 5000, 14), start.Add(2*time.Second))
	if f["read"] != 2000 || f["reads"] != 2 || f["read/"+(vstack.StoreID{1}).String()] != 2000 {
		t.Errorf("the second: %v", f)
	}
	f = m.of(node(start.Add(time.Minute), 10, 1), start.Add(4*time.Second))
	if f["read"] != 0 {
		t.Errorf("a store that started anew gives %v B/s", f["read"])
	}
}
