package wire

import (
	"maps"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestStatsAddUpWhatReported(t *testing.T) {
	report := &StoreReport{Capacity: 100, Used: 10, Stored: 8, Chunks: 3, Missing: 1, Corrupt: 2, Reads: 7, ReadSize: 70, Writes: 4}
	up, down := vstack.Store{State: vstack.StoreUp}, vstack.Store{State: vstack.StoreDown}
	var s Stats
	s.Count([]Node{
		{Host: "h1", State: vstack.StoreUp, Stores: []NodeStore{{up, report}, {up, report}}},
		{Host: "h2", State: vstack.StoreDown, Stores: []NodeStore{{up, report}, {down, nil}}},
	})
	if !maps.Equal(s.Hosts, map[vstack.StoreState]int{vstack.StoreUp: 1, vstack.StoreDown: 1}) || !maps.Equal(s.Stores, map[vstack.StoreState]int{vstack.StoreUp: 3, vstack.StoreDown: 1}) {
		t.Errorf("hosts %v, stores %v", s.Hosts, s.Stores)
	}
	if s.Silent != 1 || s.Capacity != 300 || s.Used != 30 || s.Stored != 24 || s.Chunks != 9 || s.Missing != 3 || s.Corrupt != 6 || s.Reads != 21 || s.ReadBytes != 210 || s.Writes != 12 {
		t.Errorf("%+v", s)
	}
}
