package converge

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are a Loop's figures.
type metrics struct {
	filled, healed, failed, dropped, yields, bytes prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, l *Loop) (*metrics, error) {
	labels := prometheus.Labels{"store": l.cfg.Disk.ID().String()}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: name, Help: help, ConstLabels: labels})
	}
	gauge := func(name, help string, of func(missing, corrupt int64) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(of(l.Lacking())) })
	}
	m := &metrics{
		filled:  counter("converge_filled_total", "Missing chunks fetched from a peer."),
		healed:  counter("converge_healed_total", "Damaged chunks replaced by a peer's copy."),
		failed:  counter("converge_failures_total", "Chunks that could not be fetched when it was their turn."),
		dropped: counter("converge_dropped_total", "Chunks dropped because nothing named them any more."),
		yields:  counter("converge_yields_total", "Pauses because the store's reads were slow."),
		bytes:   counter("converge_bytes_total", "Bytes of chunks fetched from peers."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.filled, m.healed, m.failed, m.dropped, m.yields, m.bytes,
		gauge("chunks_missing", "Chunks that should be here and are not yet.", func(missing, _ int64) int64 { return missing }),
		gauge("chunks_corrupt", "Chunks found damaged and not healed yet.", func(_, corrupt int64) int64 { return corrupt }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register converge metrics: %w", err)
		}
	}
	return m, nil
}
