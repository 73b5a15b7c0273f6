package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name under which all spans are made.
const scope = "github.com/vstack/vstack"

// tracesPath is where a collector takes traces.
const tracesPath = "/v1/traces"

// Config says what becomes of spans. The zero Config makes ids and keeps nothing.
type Config struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP, "http://127.0.0.1:4318"; empty
	// keeps no span.
	Endpoint string
	// Exporter takes the spans in place of Endpoint; for tests.
	Exporter sdk.SpanExporter
	// Ratio is the share of traces that are sampled, 0 to 1.
	Ratio float64
	// Slow is from when on a process's part of a trace is kept for its time alone; 0: never.
	Slow time.Duration
	// Host and Version are those of the process, as attributes of all its spans.
	Host, Version string
	// Logger is told of spans that were dropped. Default slog.Default().
	Logger *slog.Logger
}

// Tracer makes the first spans of a process. A nil *Tracer makes none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	keeper   *keeper
	log      *slog.Logger
}

// New makes a Tracer; it connects when there is something to say.
func New(ctx context.Context, cfg Config) (*Tracer, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	t := &Tracer{log: cfg.Logger}
	opts := []sdk.TracerProviderOption{sdk.WithSampler(sdk.NeverSample())}
	to := cfg.Exporter
	if to == nil && cfg.Endpoint != "" {
		var err error
		url := strings.TrimSuffix(cfg.Endpoint, "/")
		if !strings.HasSuffix(url, tracesPath) {
			url += tracesPath
		}
		// What is not taken is dropped: a collector that is away must not fill the memory.
		if to, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}),
			otlptracehttp.WithCompression(otlptracehttp.GzipCompression)); err != nil {
			return nil, fmt.Errorf("send traces to %s: %w", cfg.Endpoint, err)
		}
	}
	if to != nil {
		t.keeper = newKeeper(to, cfg.Slow, cfg.Logger)
		opts = []sdk.TracerProviderOption{
			sdk.WithSampler(sampler{ratio: sdk.TraceIDRatioBased(cfg.Ratio)}), sdk.WithSpanProcessor(t.keeper),
			sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "vstack"), attribute.String("service.version", cfg.Version),
				attribute.String("host.name", cfg.Host))),
		}
	}
	t.provider = sdk.NewTracerProvider(opts...)
	t.tracer = t.provider.Tracer(scope)
	return t, nil
}

// Close sends what waits, within the context's deadline. It may be called again.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// Root begins a span of this process: below the one that the context carries, or of a new
// trace.
func (t *Tracer) Root(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	if t == nil {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return t.tracer.Start(ctx, name, trace.WithAttributes(attrs...))
}

// Start begins a span below the one that the context carries; where there is none it does
// nothing.
func Start(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, quiet{parent}
	}
	return parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithAttributes(attrs...))
}

// quiet is a span that is not recorded: its parent's, which it must not end.
type quiet struct{ trace.Span }

// End does nothing: the span is somebody else's.
func (quiet) End(...trace.SpanEndOption) {}

// End ends a span, as failed where err is not nil. A request that was given up by who asked
// did not fail.
func End(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		if errors.Is(err, context.Canceled) {
			span.SetAttributes(attribute.Bool("canceled", true))
		} else {
			span.SetStatus(codes.Error, err.Error())
		}
	}
	span.End()
}

// keepKey marks a span whose trace this process keeps.
const keepKey = "vstack.keep"

// Keep has this process keep its part of the trace, and says why: "hedged", "decoded".
func Keep(span trace.Span, why string) {
	if span.IsRecording() {
		span.SetAttributes(attribute.String(keepKey, why))
	}
}

// header is the form of the context in headers.
var header propagation.TraceContext

// Inject puts the context's span into a request's header.
func Inject(ctx context.Context, h http.Header) { header.Inject(ctx, propagation.HeaderCarrier(h)) }

// Under gives ctx the span of another context, for work that outlives a request.
func Under(ctx, of context.Context) context.Context {
	return trace.ContextWithSpan(ctx, trace.SpanFromContext(of))
}

// ID is the trace that the context is of, empty for none.
func ID(ctx context.Context) string {
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		return id.String()
	}
	return ""
}

// sampler draws at the first process; all spans are recorded, for whether a trace was slow
// is known at its end.
type sampler struct{ ratio sdk.Sampler }

// ShouldSample is of sdk.Sampler.
func (s sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	out := sdk.SamplingResult{Decision: sdk.RecordOnly, Tracestate: parent.TraceState()}
	if parent.IsSampled() || !parent.IsValid() && s.ratio.ShouldSample(p).Decision == sdk.RecordAndSample {
		out.Decision = sdk.RecordAndSample
	}
	return out
}

// Description is of sdk.Sampler.
func (s sampler) Description() string { return "vstack: " + s.ratio.Description() }
