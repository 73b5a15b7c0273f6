package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// meter makes rates of what stores count since their start.
type meter struct {
	nodes    func(context.Context) ([]wire.Node, error)
	sessions func() int

	mu   sync.Mutex
	at   time.Time
	last map[vstack.StoreID]wire.StoreReport
}

// sample is one set of figures of the history: of the cluster, and "read/STORE", bytes a
// second, of each store.
func (m *meter) sample(ctx context.Context) (map[string]float64, error) {
	nodes, err := m.nodes(ctx)
	if err != nil {
		return nil, err
	}
	return m.of(nodes, time.Now()), nil
}

func (m *meter) of(nodes []wire.Node, now time.Time) map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	took := now.Sub(m.at).Seconds()
	rated := m.last != nil && took > 0
	seen := map[vstack.StoreID]wire.StoreReport{}
	f := map[string]float64{"sessions": float64(m.sessions()), "up": 0, "used": 0, "capacity": 0, "missing": 0}
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
