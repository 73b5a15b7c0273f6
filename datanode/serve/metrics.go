package serve

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
)

// readMetrics are a Reader's figures. Totals that heartbeats also report live in
// atomics, and the registry reads those.
type readMetrics struct {
	reads, bytes atomic.Int64
	firstByte    prometheus.Histogram
	corrupt      prometheus.Counter
	errors       *prometheus.CounterVec
	cut, cached  prometheus.Counter
	behind       prometheus.Counter
}

func newReadMetrics(reg prometheus.Registerer, store vstack.StoreID, gate *Gate) (*readMetrics, error) {
	labels := prometheus.Labels{"store": store.String()}
	name := func(s, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "vstack", Subsystem: "datanode", Name: s, Help: help, ConstLabels: labels}
	}
	m := &readMetrics{
		firstByte: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "vstack", Subsystem: "datanode", Name: "read_first_byte_seconds", ConstLabels: labels,
			Help:    "From a read's arrival at the handler until its first byte could leave: queues, disk and checksums.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5},
		}),
		corrupt: prometheus.NewCounter(prometheus.CounterOpts(name("read_corrupt_total", "Reads that met a damaged block."))),
		cut:     prometheus.NewCounter(prometheus.CounterOpts(name("read_aborted_total", "Answers that their reader did not take to the end."))),
		cached:  prometheus.NewCounter(prometheus.CounterOpts(name("read_cached_total", "Reads answered from memory."))),
		behind:  prometheus.NewCounter(prometheus.CounterOpts(name("read_behind_total", "Reads of the background class that waited for others."))),
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts(name("read_errors_total", "Reads answered with an error.")), []string{"code"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.firstByte, m.corrupt, m.cut, m.cached, m.behind, m.errors,
		prometheus.NewCounterFunc(prometheus.CounterOpts(name("reads_total", "Reads answered with bytes.")),
			func() float64 { return float64(m.reads.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts(name("read_bytes_total", "Bytes of chunks sent to readers.")),
			func() float64 { return float64(m.bytes.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(name("requests_in_flight", "Requests in flight.")),
			func() float64 { return float64(gate.Busy()) }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register read metrics of store %s: %w", store, err)
		}
	}
	return m, nil
}

func (m *readMetrics) sent(n int64, err error) {
	m.reads.Add(1)
	m.bytes.Add(n)
	if err != nil {
		m.cut.Inc()
	}
}

func (m *readMetrics) failed(err error) {
	var s *vstack.Sentinel
	if !errors.As(err, &s) {
		s = vstack.ErrInternal
	}
	m.errors.WithLabelValues(string(s.Code())).Inc()
}
