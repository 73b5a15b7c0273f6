package converge

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are a Loop's figures.
type metrics struct {
	filled, fragments, healed, failed, dropped, yields, bytes, compacted prometheus.Counter
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
		filled:    counter("converge_filled_total", "Missing chunks fetched from a peer."),
		fragments: counter("converge_fragments_total", "Fragments made of chunks."),
		healed:    counter("converge_healed_total", "Damaged chunks replaced by a peer's copy."),
		failed:    counter("converge_failures_total", "Chunks that could not be fetched when it was their turn."),
		dropped:   counter("converge_dropped_total", "Chunks and fragments dropped because they were not wanted here any more."),
		yields:    counter("converge_yields_total", "Pauses because the store's reads were slow."),
		bytes:     counter("converge_bytes_total", "Bytes of chunks fetched from peers."),
		compacted: counter("compacted_bytes_total", "Bytes of superblocks that compaction gave back."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.filled, m.fragments, m.healed, m.failed, m.dropped, m.yields, m.bytes, m.compacted,
		gauge("chunks_missing", "Chunks of which a copy or a fragment should be here and is not yet.", func(missing, _ int64) int64 { return missing }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: "chunks_waiting", ConstLabels: labels,
			Help: "Chunks and fragments that are not wanted here and must not go yet, because a target of their group lacks something or is not heard."},
			func() float64 { return float64(l.Waiting()) }),
		gauge("chunks_corrupt", "Chunks found damaged and not healed yet.", func(_, corrupt int64) int64 { return corrupt }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register converge metrics: %w", err)
		}
	}
	return m, nil
}
