package figures

import (
	"context"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Meter makes rates of what stores count since their start.
type Meter struct {
	Nodes    func(context.Context) ([]wire.Node, error)
	Sessions func() int

	mu   sync.Mutex
	at   time.Time
	last map[vstack.StoreID]wire.StoreReport
}

// Sample is one set of figures of the history: of the cluster, and "read/STORE", bytes a
// second, of each store.
func (m *Meter) Sample(ctx context.Context) (map[string]float64, error) {
	nodes, err := m.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	return m.of(nodes, time.Now()), nil
}

func (m *Meter) of(nodes []wire.Node, now time.Time) map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	took := now.Sub(m.at).Seconds()
	rated := m.last != nil && took > 0
	seen := map[vstack.StoreID]wire.StoreReport{}
	f := map[string]float64{"sessions": float64(m.Sessions()), "up": 0, "used": 0, "capacity": 0, "missing": 0}
	if rated {
		f["read"], f["reads"], f["writes"] = 0, 0, 0
	}
	for _, n := range nodes {
		for _, s := range n.Stores {
			if s.State == vstack.StoreUp {
				f["up"]++
			}
			f["capacity"] += float64(s.Capacity)
			r := s.Report
			if r == nil {
				continue
			}
			f["used"] += float64(r.Used)
			f["missing"] += float64(r.Missing)
			seen[s.ID] = *r
			was, known := m.last[s.ID]
			if !rated || !known || !was.Started.Equal(r.Started) {
				continue // a store that started anew counts from 0
			}
			rate := float64(r.ReadSize-was.ReadSize) / took
			f["read/"+s.ID.String()] = rate
			f["read"] += rate
			f["reads"] += float64(r.Reads-was.Reads) / took
			f["writes"] += float64(r.Writes-was.Writes) / took
		}
	}
	m.at, m.last = now, seen
	return f
}
