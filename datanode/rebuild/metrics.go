package rebuild

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
)

// metrics are a Rebuilder's figures.
type metrics struct {
	decoded, cached, failed, rotten prometheus.Counter
	seconds                         prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, store vstack.StoreID) (*metrics, error) {
	labels := prometheus.Labels{"store": store.String()}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		decoded: counter("decoded_total", "Chunks made of fragments."),
		cached:  counter("decoded_cached_total", "Chunks wanted that had been made lately."),
		failed:  counter("decode_failures_total", "Chunks that could not be made of fragments."),
		rotten:  counter("fragments_rotten_total", "Fragments, here and at peers, that were not their chunk's though their checksums were right."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "datanode", Name: "decode_seconds",
			Help: "Gathering of fragments, decoding and hashing.", ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(.002, 2, 13)}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.decoded, m.cached, m.failed, m.rotten, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of decoding of store %s: %w", store, err)
		}
	}
	return m, nil
}

// time measures until what it returns is called.
func (m *metrics) time() func() {
	began := time.Now()
	return func() { m.seconds.Observe(time.Since(began).Seconds()) }
}
