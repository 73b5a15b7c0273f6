// Package tracing follows one request through all processes that it reaches, by OpenTelemetry.
//
//	Tracer.Root, Tracer.Handler   a process's first span of a trace, of its own or of a caller's
//	Start                         a span below the one that the context carries
//	Inject                        the context's span as a header, traceparent (W3C)
//	              │
//	              ▼  when a span ends
//	         keeper ──► batches ──► OTLP over HTTP
//
// Words: a trace is sampled when its first process drew so, and then all processes keep all of
// it. A process's part of a trace that is not sampled is kept when something in it was slow,
// failed, or was marked by Keep: hedged, decoded. Other processes do not know of that and keep
// what they find worth it.
//
// Invariants:
//
//   - Every request has a trace id, whether spans are kept or not: logs carry it.
//   - Nobody waits for a collector. What it does not take in time is dropped and counted.
//   - Memory is bounded: of traces that are open, of their spans, of those that wait.
//   - Without a Tracer, or one in the context, everything here does nothing.
package tracing
