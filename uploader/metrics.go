package uploader

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the uploader's, all named vstack_uploader_….
type metrics struct {
	uploads *prometheus.CounterVec // by code: accepted, or the error's
	jobs    *prometheus.CounterVec // by the state in which they ended
	running prometheus.Gauge
	chunks  *prometheus.CounterVec
	bytes   prometheus.Counter
	wire    prometheus.Counter
	commit  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_uploader_uploads_total", Help: "Answers to POST /upload, by code; ACCEPTED for 202."}, []string{"code"}),
		jobs:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_uploader_jobs_total", Help: "Jobs that ended, by their last state."}, []string{"state"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_uploader_jobs_running", Help: "Jobs that run ffmpeg now."}),
		chunks:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_uploader_chunks_total", Help: "Chunks by outcome: committed, reused on resume, or a commit retried."}, []string{"outcome"}),
		bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "vstack_uploader_committed_bytes_total", Help: "Bytes of committed chunks, once each."}),
		wire:    prometheus.NewCounter(prometheus.CounterOpts{Name: "vstack_uploader_sent_bytes_total", Help: "Bytes of chunks put on the wire, copies and retries included."}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vstack_uploader_commit_seconds", Help: "Time from a chunk's first try until it was chosen.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}),
	}
	for _, c := range []prometheus.Collector{m.uploads, m.jobs, m.running, m.chunks, m.bytes, m.wire, m.commit} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) committed(size int, sent int64, took time.Duration) {
	m.chunks.WithLabelValues("committed").Inc()
	m.bytes.Add(float64(size))
	m.wire.Add(float64(sent))
	m.commit.Observe(took.Seconds())
}
