package host

import (
	"context"
	"time"

	"github.com/vstack/vstack/internal/tracing"
)

const (
	// slowTrace is from when on a host's part of a trace is kept for its time alone.
	slowTrace = time.Second
	// lastSpans bounds the wait for the collector when the host stops.
	lastSpans = 2 * time.Second
)

// addTracer makes what gives requests their ids, and spans where the configuration names a
// collector.
func (h *host) addTracer(ctx context.Context) error {
	c := h.cfg.Tracing
	if c.Slow == 0 {
		c.Slow = slowTrace
	}
	var err error
	h.tracer, err = tracing.New(ctx, tracing.Config{Endpoint: c.Endpoint, Ratio: c.Ratio, Slow: c.Slow, Host: h.cfg.Host, Version: h.version.Version, Logger: h.log})
	if err != nil {
		return err
	}
	h.parts = append(h.parts, part{name: "traces", close: func() error {
		ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
		defer cancel()
		if err := h.tracer.Close(ctx); err != nil {
			h.log.Warn("the last spans were not sent", "err", err)
		}
		return nil
	}})
	return nil
}
