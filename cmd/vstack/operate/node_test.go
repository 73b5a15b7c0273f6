package operate

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestWhatNobodyToldIsNoZero: of a store that a new leader has not heard from, or that is down, a
// table does not say that it has nothing.
func TestWhatNobodyToldIsNoZero(t *testing.T) {
	now := time.Now()
	told := &wire.StoreReport{Chunks: 3, Stored: 4 << 20}
	stores := []wire.NodeStore{
		{Store: vstack.Store{Host: "a", State: vstack.StoreUp, Capacity: 1 << 30}, Report: told},
		{Store: vstack.Store{Host: "b", State: vstack.StoreSuspect, Capacity: 1 << 30}},
		{Store: vstack.Store{Host: "c", State: vstack.StoreDown, Capacity: 1 << 30}, Report: told},
	}
	var nodes []wire.Node
	var rows []cluster.StoreRow
	for _, s := range stores {
		nodes = append(nodes, wire.Node{Host: s.Host, State: s.State, LastSeen: now, Stores: []wire.NodeStore{s}})
		rows = append(rows, cluster.StoreRow{NodeStore: s})
	}
	pick := func(row []any, at ...int) (out []string) {
		for _, i := range at {
			out = append(out, fmt.Sprint(row[i]))
		}
		return out
	}
	var hosts, each [][]string
	for _, r := range nodeTable(nodes, now).Rows {
		hosts = append(hosts, pick(r, 0, 3, 4, 6))
	}
	for _, r := range storeTable(nodes, rows, now).Rows {
		each = append(each, pick(r, 1, 6, 9, 11))
	}
	if diff := cmp.Diff([][]string{{"a", "3", "4.0 MiB", "0"}, {"b", "-", "-", "-"}, {"c", "-", "-", "-"}}, hosts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"a", "3", "0", "0"}, {"b", "-", "-", "-"}, {"c", "-", "-", "-"}}, each); diff != "" {
		t.Error(diff)
	}
}
