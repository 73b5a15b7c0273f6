package catalog

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	commands *prometheus.CounterVec
	batch    prometheus.Histogram
	objects  *prometheus.GaugeVec
	index    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
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

func (m *metrics) observe(t Type, r *Result) {
	if r != nil { // an unknown type halts the member and is not a label
		m.commands.WithLabelValues(string(t), string(r.Code)).Inc()
	}
}

func (m *metrics) applied(meta metaRow, d time.Duration) {
	m.batch.Observe(d.Seconds())
	m.state(meta)
}

func (m *metrics) state(meta metaRow) {
	m.index.Set(float64(meta.Applied))
	m.objects.WithLabelValues("videos").Set(float64(meta.Videos))
	m.objects.WithLabelValues("uploads").Set(float64(meta.Uploads))
	m.objects.WithLabelValues("open_uploads").Set(float64(meta.OpenUploads))
	m.objects.WithLabelValues("stores").Set(float64(meta.Stores))
	m.objects.WithLabelValues("requests").Set(float64(meta.Requests))
}
