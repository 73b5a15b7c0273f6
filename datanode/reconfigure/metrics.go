package reconfigure

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of an attempt, as a label.
const (
	resultActivated = "activated"
	resultOvertaken = "overtaken" // the catalog issued another, or dropped it
	resultFailed    = "failed"
)

type metrics struct {
	changes *prometheus.CounterVec // result
	stopped prometheus.Histogram   // seconds
	votes   prometheus.Counter
	running prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: "epoch_changes_total",
			Help: "Attempts to change a placement group's epoch that this host drove, by result: activated, overtaken, failed."}, []string{"result"}),
		stopped: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "datanode", Name: "epoch_change_seconds",
			Help:    "From the first seal of an attempt to its activation: for so long the group takes no vote.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}}),
		votes: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: "epoch_change_votes_total",
			Help: "Votes that activated attempts carried over."}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: "epoch_changes_running",
			Help: "Attempts that this host drives now, up to the last install."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.changes, m.stopped, m.votes, m.running} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of epoch changes: %w", err)
		}
	}
	return m, nil
}
