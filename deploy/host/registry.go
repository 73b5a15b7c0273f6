package host

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// registry makes a role's own registry, with the process's figures in each: a port that is
// scraped alone must say whose it is.
func (h *host) registry(role string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	h.registries[role] = r
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	build := one(prometheus.GaugeOpts{Name: "vstack_build_info", Help: "1, with what program this is.",
		ConstLabels: prometheus.Labels{"version": h.version.Version, "commit": h.version.Commit, "goversion": h.version.Go}})
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		gauge("vstack_host_time_seconds", "This host's clock, in Unix time, to be compared with that of the scrape.", func() float64 { return seconds(time.Now()) }),
		gauge("vstack_identity_certificate_issued_timestamp_seconds", "From when on this host's certificate is good, in Unix time.", func() float64 { return seconds(h.id.NotBefore()) }),
		gauge("vstack_identity_certificate_expiry_timestamp_seconds", "Until when this host's certificate is good, in Unix time.", func() float64 { return seconds(h.id.NotAfter()) }),
	)
	return r
}

// one is a gauge that is 1.
func one(opts prometheus.GaugeOpts) prometheus.Gauge {
	g := prometheus.NewGauge(opts)
	g.Set(1)
	return g
}
