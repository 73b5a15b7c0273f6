package superblock

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
)

// metrics counts what a store does. Several stores share one registry by their label.
type metrics struct {
	fdatasyncs prometheus.Counter
	groups     prometheus.Counter
	records    prometheus.Counter
	bytes      prometheus.Counter
	perGroup   prometheus.Histogram
	findings   *prometheus.CounterVec
	crcFailed  prometheus.Counter

	registry prometheus.Registerer
	all      []prometheus.Collector
}

func newMetrics(reg prometheus.Registerer, id vstack.StoreID) *metrics {
	m := &metrics{}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "superblock", Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	m.fdatasyncs = counter("fdatasyncs_total", "fdatasync calls for groups: exactly one a group.")
	m.groups = counter("groups_total", "Groups made durable.")
	m.records = counter("records_total", "Records made durable.")
	m.bytes = counter("written_bytes_total", "Bytes of groups made durable, padding included.")
	m.crcFailed = counter("crc_failures_total", "Reads that met bytes or a header failing their checksum.")
	m.perGroup = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "superblock",
		Name: "group_records", Help: "Records that shared one fdatasync.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)})
	m.findings = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "superblock",
		Name: "findings_total", Help: "Damage found by recovery, reads and scrubs, by kind."}, []string{"kind"})
	m.all = append(m.all, m.perGroup, m.findings)
	if reg != nil {
		m.registry = prometheus.WrapRegistererWith(prometheus.Labels{"store": id.String()}, reg)
	}
	return m
}

// register makes the metrics visible.
func (m *metrics) register() error {
	if m.registry == nil {
		return nil
	}
	for _, c := range m.all {
		if err := m.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) unregister() {
	if m.registry == nil {
		return
	}
	for _, c := range m.all {
		m.registry.Unregister(c)
	}
}

func (m *metrics) group(records int, bytes int64) {
	m.groups.Inc()
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
	m.perGroup.Observe(float64(records))
}
