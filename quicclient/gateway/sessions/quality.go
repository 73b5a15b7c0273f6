package sessions

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Quality counts how playbacks fare, each session by the difference of what it told, so that
// one that ends or is forgotten stays counted. Its labels are kinds of players, of which
// there are three; a stranger makes none.
type Quality struct {
	began   *prometheus.CounterVec   // kind
	ended   *prometheus.CounterVec   // kind, state
	startup *prometheus.HistogramVec // kind
	stalls  *prometheus.CounterVec   // kind
	stalled *prometheus.CounterVec   // kind
	played  *prometheus.CounterVec   // kind
}

// NewQuality registers the figures, and those of the playbacks of s that go on; reg may be nil.
func NewQuality(reg *prometheus.Registry, s *Store) (*Quality, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "gateway", Name: name, Help: help}, append([]string{"kind"}, labels...))
	}
	q := &Quality{
		began: counter("sessions_total", "Playbacks that began, by kind of player: smart, page, stock."),
		ended: counter("sessions_ended_total", "Playbacks that said that they ended, by kind and as what: ended, failed.", "state"),
		startup: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "vstack", Subsystem: "gateway", Name: "session_startup_seconds",
			Help: "Time to the first picture, by players' own word.", Buckets: []float64{.05, .1, .2, .4, .8, 1.5, 3, 6, 12, 30}}, []string{"kind"}),
		stalls:  counter("session_stalls_total", "Times that playbacks stood still after their start, by players' own word."),
		stalled: counter("session_stalled_seconds_total", "Time for which playbacks stood still after their start, by players' own word."),
		played:  counter("session_played_seconds_total", "Media that was played, by players' own word; jumps forward of more than a minute do not count."),
	}
	if reg == nil {
		return q, nil
	}
	playing := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "gateway", Name: "sessions_playing", Help: "Playbacks that go on."},
		func() float64 { return float64(s.Playing()) })
	for _, c := range []prometheus.Collector{q.began, q.ended, q.startup, q.stalls, q.stalled, q.played, playing} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of sessions: %w", err)
		}
	}
	return q, nil
}

// longestStep is how far a position may move between two reports and count as played.
const longestStep = 60.0

// told counts what a session says beyond what it said before.
func (q *Quality) told(kind string, began bool, before, now Report, since time.Duration) {
	if q == nil {
		return
	}
	if began {
		q.began.WithLabelValues(kind).Inc()
	}
	if before.Startup == 0 && now.Startup > 0 {
		q.startup.WithLabelValues(kind).Observe(now.Startup)
	}
	q.stalls.WithLabelValues(kind).Add(float64(max(0, now.Stalls-before.Stalls)))
	// A report cannot tell of more than the time since the one before: a stranger's word must
	// not drown the others.
	bound := longestStep
	if !began {
		bound = min(bound, since.Seconds()+1)
	}
	q.stalled.WithLabelValues(kind).Add(min(bound, max(0, now.StallTime-before.StallTime)))
	if step := now.Position - before.Position; step > 0 && step <= longestStep {
		q.played.WithLabelValues(kind).Add(step)
	}
	if now.State != before.State && (now.State == "ended" || now.State == "failed") {
		q.ended.WithLabelValues(kind, now.State).Inc()
	}
}
