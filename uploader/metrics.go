package uploader

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the uploader's, all named vstack_uploader_….
type metrics struct {
	uploads *prometheus.CounterVec // by code: accepted, or the error's
	jobs    *prometheus.CounterVec // by the state in which they ended
	running prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_uploader_uploads_total", Help: "Answers to POST /upload, by code; ACCEPTED for 202."}, []string{"code"}),
		jobs:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_uploader_jobs_total", Help: "Jobs that ended, by their last state."}, []string{"state"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_uploader_jobs_running", Help: "Jobs that run ffmpeg now."}),
	}
	for _, c := range []prometheus.Collector{m.uploads, m.jobs, m.running} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
