package body

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	reads  *prometheus.CounterVec // chunk reads by where they were answered from
	stored prometheus.Counter     // bytes fetched from stores
	sent   prometheus.Counter     // bytes of media written to viewers
	fetch  prometheus.Histogram   // seconds a chunk took from the stores
	cut    prometheus.Counter     // viewers that took nothing for too long
}

func newMetrics(reg *prometheus.Registry) (*metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "vstack", Subsystem: "gateway", Name: name, Help: help}
	}
	m := &metrics{
		reads:  prometheus.NewCounterVec(prometheus.CounterOpts(opts("chunk_reads_total", "Chunk reads by where they were answered from: cache, joined (a fetch under way), store.")), []string{"from"}),
		stored: prometheus.NewCounter(prometheus.CounterOpts(opts("stores_received_bytes_total", "Bytes of chunks fetched from stores."))),
		sent:   prometheus.NewCounter(prometheus.CounterOpts(opts("viewers_sent_bytes_total", "Bytes of media sent to viewers."))),
		cut:    prometheus.NewCounter(prometheus.CounterOpts(opts("viewers_cut_total", "Bodies ended because the viewer took no byte for too long."))),
		fetch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "vstack", Subsystem: "gateway", Name: "chunk_fetch_seconds", Help: "Time from asking for a chunk to its last verified byte.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.reads, m.stored, m.sent, m.fetch, m.cut} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("gateway: register metrics: %w", err)
		}
	}
	return m, nil
}
