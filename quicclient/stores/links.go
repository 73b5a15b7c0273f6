package stores

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/quicclient/policy"
)

// Links is a prometheus.Collector of a pool's links, one a store. Figures that were never
// measured are absent.
type Links struct {
	pool *Pool

	connections, ejected, rtt, loss, goodput, errors *prometheus.Desc
}

// NewLinks makes a collector of a pool's links; it looks when it is collected.
func NewLinks(p *Pool) *Links {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("vstack_quicclient_link_"+name, help, []string{"store", "host"}, nil)
	}
	return &Links{
		pool:        p,
		connections: desc("connections", "QUIC connections to the store that stand, 1 over TCP."),
		ejected:     desc("ejected", "1 while the store is left alone after failures."),
		rtt:         desc("rtt_seconds", "Smoothed round-trip time to the store, by QUIC."),
		loss:        desc("loss_ratio", "Packets from the store that were lost lately, 0 to 1, by the store's word."),
		goodput:     desc("goodput_bytes", "Bytes a second that came from the store while bytes were owed, over the last 10 s of that."),
		errors:      desc("errors_total", "Attempts to read from the store that failed."),
	}
}

// Describe is of prometheus.Collector.
func (l *Links) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.connections, l.ejected, l.rtt, l.loss, l.goodput, l.errors} {
		ch <- d
	}
}

// Collect is of prometheus.Collector.
func (l *Links) Collect(ch chan<- prometheus.Metric) {
	for _, s := range l.pool.Signals() {
		if s.Link == policy.LinkIdle {
			continue
		}
		tell := func(d *prometheus.Desc, as prometheus.ValueType, v float64) {
			ch <- prometheus.MustNewConstMetric(d, as, v, s.Store.String(), string(s.Host))
		}
		ejected := 0.0
		if s.Ejected {
			ejected = 1
		}
		tell(l.connections, prometheus.GaugeValue, float64(s.Conns))
		tell(l.ejected, prometheus.GaugeValue, ejected)
		tell(l.errors, prometheus.CounterValue, float64(s.Errors))
		if s.Measured {
			tell(l.rtt, prometheus.GaugeValue, s.RTT.Seconds())
			tell(l.loss, prometheus.GaugeValue, s.Loss)
		}
		if s.Sampled {
			tell(l.goodput, prometheus.GaugeValue, s.Slow)
		}
	}
}
