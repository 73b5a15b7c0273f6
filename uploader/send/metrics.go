package send

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of commits, of one uploader.
type Metrics struct {
	chunks *prometheus.CounterVec
	bytes  prometheus.Counter
	wire   prometheus.Counter
	commit prometheus.Histogram
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		chunks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_uploader_chunks_total", Help: "Chunks by outcome: committed, reused on resume, or a commit retried."}, []string{"outcome"}),
		bytes:  prometheus.NewCounter(prometheus.CounterOpts{Name: "vstack_uploader_committed_bytes_total", Help: "Bytes of committed chunks, once each."}),
		wire:   prometheus.NewCounter(prometheus.CounterOpts{Name: "vstack_uploader_sent_bytes_total", Help: "Bytes of chunks put on the wire, copies and retries included."}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vstack_uploader_commit_seconds", Help: "Time from a chunk's first try until it was chosen.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}),
	}
	for _, c := range []prometheus.Collector{m.chunks, m.bytes, m.wire, m.commit} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) committed(size int, sent int64, took time.Duration) {
	m.chunks.WithLabelValues("committed").Inc()
	m.bytes.Add(float64(size))
	m.wire.Add(float64(sent))
	m.commit.Observe(took.Seconds())
}
