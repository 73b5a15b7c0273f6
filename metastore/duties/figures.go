package duties

import (
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// figures are what the leader's metrics say of the classes of all videos.
type figures struct {
	hosts, stores, unproven, below, paused prometheus.Gauge
	videos, bytes                          *prometheus.GaugeVec
}

func newFigures(reg prometheus.Registerer) (figures, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_redundancy_" + name, Help: help})
	}
	byClass := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vstack_metastore_redundancy_" + name, Help: help}, []string{"class"})
	}
	f := figures{
		hosts:    gauge("hosts_can_fail", "Hosts, chosen worst, that may be lost with every video still readable, by what stores say that they hold, on the leader; -1 when some video is not known to be readable, NaN without any."),
		stores:   gauge("stores_can_fail", "The same of stores."),
		unproven: gauge("unproven_videos", "Videos of which not enough is known to be held to read them, on the leader."),
		below:    gauge("below_videos", "Videos that bear the loss of fewer hosts than the policy asks for, on the leader."),
		paused:   gauge("paused", "1 while videos' moves between classes are paused, on the leader."),
		videos:   byClass("videos", "Published videos, by class, on the leader."),
		bytes:    byClass("bytes", "Bytes of published videos, those of one copy, by class, on the leader."),
	}
	for _, c := range []prometheus.Collector{f.hosts, f.stores, f.unproven, f.below, f.paused, f.videos, f.bytes} {
		if err := reg.Register(c); err != nil {
			return f, fmt.Errorf("register the metrics of redundancy: %w", err)
		}
	}
	return f, nil
}

func (f *figures) show(r wire.Redundancy) {
	f.hosts.Set(math.NaN()) // nothing is known: of nothing, or by a member that does not lead
	f.stores.Set(math.NaN())
	if r.Bears != nil {
		f.hosts.Set(float64(r.Bears.Hosts))
		f.stores.Set(float64(r.Bears.Stores))
	}
	f.unproven.Set(float64(r.Unproven))
	f.below.Set(float64(r.Below))
	f.paused.Set(0)
	if r.Paused {
		f.paused.Set(1)
	}
	for _, class := range []vstack.StorageClass{vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming} {
		f.videos.WithLabelValues(string(class)).Set(float64(r.Classes[class].Videos))
		f.bytes.WithLabelValues(string(class)).Set(float64(r.Classes[class].Bytes))
	}
}

// clear is of a member that does not lead.
func (f *figures) clear() {
	f.show(wire.Redundancy{})
}
