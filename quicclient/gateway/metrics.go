package gateway

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/quicclient/gateway/cmcd"
)

type metrics struct {
	refused prometheus.Counter // requests beyond the bounds
	broken  prometheus.Counter // bodies reset because a chunk could not be had
	busy    prometheus.Gauge   // requests being answered
	// What players say of themselves (package cmcd).
	said    *prometheus.CounterVec // requests, by form of the playlist and kind of object
	starved prometheus.Counter
	buffer  prometheus.Histogram // seconds
	rate    prometheus.Histogram // bytes a second, as a player measures
}

func newMetrics(reg *prometheus.Registry) (*metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "vstack", Subsystem: "gateway", Name: name, Help: help}
	}
	m := &metrics{
		refused: prometheus.NewCounter(prometheus.CounterOpts(opts("requests_refused_total", "Requests refused because too many were being answered."))),
		broken:  prometheus.NewCounter(prometheus.CounterOpts(opts("bodies_reset_total", "Bodies reset because a chunk could not be had."))),
		busy:    prometheus.NewGauge(prometheus.GaugeOpts(opts("requests_in_flight", "Requests being answered."))),
	}
	m.said = prometheus.NewCounterVec(prometheus.CounterOpts(opts("cmcd_requests_total", "Requests that carry CMCD, by the player's form of playlist and kind of object.")), []string{"format", "object"})
	m.starved = prometheus.NewCounter(prometheus.CounterOpts(opts("cmcd_starved_total", "Requests of players whose buffer had run empty, by their own word.")))
	m.buffer = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "gateway", Name: "cmcd_buffer_seconds", Help: "Players' buffers, by their own word.", Buckets: []float64{0, 0.5, 1, 2, 4, 8, 16, 32, 64}})
	m.rate = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "gateway", Name: "cmcd_throughput_bytes", Help: "Throughput as players measure it, bytes a second.", Buckets: prometheus.ExponentialBuckets(32e3, 2, 12)})
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.refused, m.broken, m.busy, m.said, m.starved, m.buffer, m.rate} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("gateway: register metrics: %w", err)
		}
	}
	return m, nil
}

// player counts what a player says of itself. What has no name in the specification is
// "other": a stranger must not make labels.
func (m *metrics) player(s cmcd.Said) {
	known := func(v string, of ...string) string {
		if v == "" || slices.Contains(of, v) {
			return v
		}
		return "other"
	}
	m.said.WithLabelValues(known(s.Format, "h", "d", "s"), known(s.Object, "v", "a", "av", "i", "c", "tt", "m", "k", "o")).Inc()
	if s.Starved {
		m.starved.Inc()
	}
	if s.HasBuffer {
		m.buffer.Observe(s.Buffer.Seconds())
	}
	if s.Rate > 0 {
		m.rate.Observe(float64(s.Rate) / 8)
	}
}
