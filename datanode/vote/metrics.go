package vote

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/internal/vstack"
)

// metrics are a Voter's figures; accepted also goes into heartbeats.
type metrics struct {
	accepted atomic.Int64 // chunks by PUT
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	alarms   *prometheus.CounterVec
	bytes    prometheus.Counter
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, store vstack.StoreID, stats func() chunkpaxos.Stats) (*metrics, error) {
	labels := prometheus.Labels{"store": store.String()}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: name, Help: help, ConstLabels: labels}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(counter("paxos_requests_total", "ChunkPaxos requests that were judged, by kind."), []string{"kind"}),
		refused:  prometheus.NewCounterVec(counter("paxos_refused_total", "ChunkPaxos requests answered with a refusal, by code."), []string{"code"}),
		alarms:   prometheus.NewCounterVec(counter("paxos_alarms_total", "Things that a correct peer never does, by code."), []string{"code"}),
		bytes:    prometheus.NewCounter(counter("write_bytes_total", "Bytes of chunks accepted by PUT.")),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "vstack", Subsystem: "datanode", Name: "put_seconds", ConstLabels: labels,
			Help:    "From a PUT's arrival at the handler to its durable acceptance.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
	}
	if reg == nil {
		return m, nil
	}
	gauge := func(name, help string, of func(chunkpaxos.Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(of(stats())) })
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.refused, m.alarms, m.bytes, m.seconds,
		gauge("paxos_slots", "Slots of unpublished uploads in memory.", func(s chunkpaxos.Stats) int { return s.Slots }),
		gauge("paxos_waiting", "Requests that wait for the catalog.", func(s chunkpaxos.Stats) int { return s.Parked }),
		gauge("paxos_barred_groups", "Placement groups in which this store does not vote: it may have forgotten.", func(s chunkpaxos.Stats) int { return s.Amnesic }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register vote metrics of store %s: %w", store, err)
		}
	}
	return m, nil
}
