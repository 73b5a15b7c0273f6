package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/vstack/vstack/internal/tracing"
)

// traceEnv names the collector that takes a command's spans, as OpenTelemetry has it.
const traceEnv = "OTEL_EXPORTER_OTLP_ENDPOINT"

// lastSpans bounds the wait for the collector at the end of a command.
const lastSpans = 5 * time.Second

// traced begins the trace of a command where a collector is named: all processes that it
// reaches keep their part of it. Without one nothing is traced.
func traced(ctx context.Context, name string) (context.Context, func(error), error) {
	endpoint := os.Getenv(traceEnv)
	if endpoint == "" {
		return ctx, func(error) {}, nil
	}
	host, _ := os.Hostname() // a name for people
	t, err := tracing.New(ctx, tracing.Config{Endpoint: endpoint, Ratio: 1, Host: host, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return ctx, nil, fmt.Errorf("%s: %w", traceEnv, err)
	}
	ctx, span := t.Root(ctx, name)
	return ctx, func(err error) {
		tracing.End(span, err)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpans)
		defer cancel()
		if err := t.Close(last); err != nil {
			slog.Warn("the trace was not sent", "err", err)
		}
		fmt.Fprintf(os.Stderr, "trace %s\n", tracing.ID(ctx))
	}, nil
}
