package quicclient

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/quicclient/stores"
)

// What a message between client and store is, as a label.
const (
	kindPut     = "put"     // the chunk's bytes, which are the accept
	kindAccept  = "accept"  // without bytes: the classic path's second phase
	kindPrepare = "prepare" // the classic path's first phase
	kindSurvey  = "survey"  // ranged prepare of a whole upload, a page a message
	kindSeal    = "seal"    // these two change a placement group's epoch
	kindInstall = "install"
	kindQuery   = "query" // what a store holds in a slot
	kindGet     = "get"
)

// Directions of messages and bytes, seen from the client.
const (
	sent     = "sent"
	received = "received"
)

// metrics are shared by all clients of a registry.
type metrics struct {
	messages  *prometheus.CounterVec // kind, direction
	bytes     *prometheus.CounterVec // kind, direction: bodies only
	fetches   *prometheus.HistogramVec
	attempts  *prometheus.CounterVec // result
	hedges    prometheus.Counter
	extra     prometheus.Counter
	commits   *prometheus.CounterVec // result
	commitSec prometheus.Histogram
	dials     *prometheus.CounterVec // result
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "vstack", Subsystem: "quicclient", Name: name, Help: help}
	}
	seconds := func(name, help string) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{
			Namespace: "vstack", Subsystem: "quicclient", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}
	}
	r := &registrar{reg: reg}
	m := &metrics{
		messages:  register(r, prometheus.NewCounterVec(opts("messages_total", "Requests sent to stores and answers received, by kind."), []string{"kind", "direction"})),
		bytes:     register(r, prometheus.NewCounterVec(opts("bytes_total", "Bytes of bodies sent to and received from stores, by kind."), []string{"kind", "direction"})),
		fetches:   register(r, prometheus.NewHistogramVec(seconds("fetch_seconds", "Time to a verified chunk."), []string{"proto"})),
		attempts:  register(r, prometheus.NewCounterVec(opts("attempts_total", "Read attempts by result: ok, lost (another attempt won), failed, corrupt."), []string{"result"})),
		hedges:    register(r, prometheus.NewCounter(opts("hedges_total", "Attempts started beside one that still ran."))),
		extra:     register(r, prometheus.NewCounter(opts("extra_bytes_total", "Bytes received for attempts that did not win."))),
		commits:   register(r, prometheus.NewCounterVec(opts("commits_total", "Chunks proposed, by result code."), []string{"result"})),
		commitSec: register(r, prometheus.NewHistogram(seconds("commit_seconds", "Time until a chunk was chosen."))),
		dials:     register(r, prometheus.NewCounterVec(opts("dials_total", "QUIC handshakes by result."), []string{"result"})),
	}
	return m, r.err
}

// counters is transfer.Counters.
type counters struct{ *metrics }

func (c counters) Asked()                { c.messages.WithLabelValues(kindGet, sent).Inc() }
func (c counters) Answered()             { c.messages.WithLabelValues(kindGet, received).Inc() }
func (c counters) Attempt(result string) { c.attempts.WithLabelValues(result).Inc() }
func (c counters) Hedge()                { c.hedges.Inc() }

func (c counters) Received(useful, more int64) {
	c.bytes.WithLabelValues(kindGet, received).Add(float64(useful + more))
	c.extra.Add(float64(more))
}

// registrar registers collectors, or finds the ones that another client registered.
type registrar struct {
	reg prometheus.Registerer
	err error
}

func register[C prometheus.Collector](r *registrar, c C) C {
	if r.reg == nil {
		return c
	}
	err := r.reg.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	r.err = errors.Join(r.err, err)
	return c
}

// registerLinks registers a pool's links. Of several clients of a registry the first one's
// are shown: their labels are the same.
func registerLinks(reg prometheus.Registerer, p *stores.Pool) error {
	if reg == nil {
		return nil
	}
	var already prometheus.AlreadyRegisteredError
	if err := reg.Register(stores.NewLinks(p)); err != nil && !errors.As(err, &already) {
		return err
	}
	return nil
}
