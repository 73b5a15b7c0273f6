package meter

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Meter holds the figures.
type Meter struct {
	commands *prometheus.CounterVec
	batch    prometheus.Histogram
	objects  *prometheus.GaugeVec
	index    prometheus.Gauge
}

// New registers the figures; reg may be nil.
func New(reg prometheus.Registerer) (*Meter, error) {
	m := &Meter{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_catalog_commands_total",
			Help: "Commands applied, by type and by error code (empty when accepted)."}, []string{"type", "code"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vstack_catalog_apply_seconds",
			Help: "Time to apply one batch of commands.", Buckets: prometheus.ExponentialBuckets(1e-5, 4, 9)}),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vstack_catalog_objects",
			Help: "Objects in the catalog, by kind."}, []string{"kind"}),
		index: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_catalog_applied_index",
			Help: "Raft index of the last command applied."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.commands, m.batch, m.objects, m.index} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register catalog metrics: %w", err)
		}
	}
	return m, nil
}

// Observe counts a command that was applied, by its type and error code.
func (m *Meter) Observe(kind, code string) { m.commands.WithLabelValues(kind, code).Inc() }

// State is what a catalog holds.
type State struct {
	Applied                                        uint64 // Raft index
	Videos, Uploads, OpenUploads, Stores, Requests int
}

// Applied tells how long a batch took, and what the catalog holds after it.
func (m *Meter) Applied(s State, d time.Duration) {
	m.batch.Observe(d.Seconds())
	m.State(s)
}

// State tells what the catalog holds.
func (m *Meter) State(s State) {
	m.index.Set(float64(s.Applied))
	for kind, n := range map[string]int{
		"videos": s.Videos, "uploads": s.Uploads, "open_uploads": s.OpenUploads, "stores": s.Stores, "requests": s.Requests,
	} {
		m.objects.WithLabelValues(kind).Set(float64(n))
	}
}
