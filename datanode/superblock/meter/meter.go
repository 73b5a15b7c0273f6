package meter

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
)

// Metrics counts what a store does. Several stores share one registry by their label.
type Metrics struct {
	Fdatasyncs prometheus.Counter
	Groups     prometheus.Counter
	Records    prometheus.Counter
	Bytes      prometheus.Counter
	PerGroup   prometheus.Histogram
	Findings   *prometheus.CounterVec
	CRCFailed  prometheus.Counter

	registry prometheus.Registerer
	all      []prometheus.Collector
}

// New makes the metrics of a store; a nil registry takes none.
func New(reg prometheus.Registerer, id vstack.StoreID) *Metrics {
	m := &Metrics{}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "superblock", Name: name, Help: help})
		m.all = append(m.all, c)
		return c
	}
	m.Fdatasyncs = counter("fdatasyncs_total", "fdatasync calls for groups: exactly one a group.")
	m.Groups = counter("groups_total", "Groups made durable.")
	m.Records = counter("records_total", "Records made durable.")
	m.Bytes = counter("written_bytes_total", "Bytes of groups made durable, padding included.")
	m.CRCFailed = counter("crc_failures_total", "Reads that met bytes or a header failing their checksum.")
	m.PerGroup = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "superblock",
		Name: "group_records", Help: "Records that shared one fdatasync.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)})
	m.Findings = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "superblock",
		Name: "findings_total", Help: "Damage found by recovery, reads and scrubs, by kind."}, []string{"kind"})
	m.all = append(m.all, m.PerGroup, m.Findings)
	if reg != nil {
		m.registry = prometheus.WrapRegistererWith(prometheus.Labels{"store": id.String()}, reg)
	}
	return m
}

// Register makes the metrics visible.
func (m *Metrics) Register() error {
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

// Unregister takes them back.
func (m *Metrics) Unregister() {
	if m.registry == nil {
		return
	}
	for _, c := range m.all {
		m.registry.Unregister(c)
	}
}

// Group counts a group that is durable.
func (m *Metrics) Group(records int, bytes int64) {
	m.Groups.Inc()
	m.Records.Add(float64(records))
	m.Bytes.Add(float64(bytes))
	m.PerGroup.Observe(float64(records))
}
