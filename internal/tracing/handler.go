package tracing

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/vstack/vstack/internal/identity"
)

// HeaderTrace is the answer's header with the request's trace id, for whoever reports that
// something did not work.
const HeaderTrace = "Vstack-Trace"

// untraced are paths that are asked all the time or held open on purpose.
var untraced = map[string]bool{
	"/livez": true, "/readyz": true, "/metrics": true, "/version": true, "/openapi.json": true,
	"/v1/feed": true, "/v1/events": true, "/v1/heartbeats": true,
}

// Handler gives each request a span and logs what an operator wants to find later: what people
// changed, and what failed. log is the role's.
func (t *Tracer) Handler(log *slog.Logger, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// CONNECT takes the stream over, and may want the server's own writer.
		if untraced[r.URL.Path] || r.Method == http.MethodConnect || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		began := time.Now()
		ctx := header.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, r.Method+" "+short(r.URL.Path), trace.WithSpanKind(trace.SpanKindServer))
		if span.IsRecording() {
			span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("url.path", public(r.URL.Path)),
				attribute.String("network.protocol.version", strings.TrimPrefix(r.Proto, "HTTP/")))
		}
		defer span.End() // a handler that panics ends its request too
		w.Header()[HeaderTrace] = []string{span.SpanContext().TraceID().String()}
		out := &answer{ResponseWriter: w}
		var by string
		next.ServeHTTP(out, r.WithContext(naming(ctx, &by)))
		if span.IsRecording() {
			span.SetAttributes(attribute.Int("http.response.status_code", out.code()))
			if out.code() >= http.StatusInternalServerError && r.Context().Err() == nil {
				span.SetStatus(codes.Error, http.StatusText(out.code()))
			}
		}
		said(ctx, log, r, by, out.code(), time.Since(began))
	})
}

// said logs a request that somebody may look for.
func said(ctx context.Context, log *slog.Logger, r *http.Request, by string, code int, took time.Duration) {
	level := slog.LevelDebug
	peer, known := identity.PeerOf(r.TLS)
	switch {
	case by != "":
		known = false
	case known:
		by = peer.ID
	default:
		by = "-"
	}
	changes := r.Method != http.MethodGet && r.Method != http.MethodHead
	switch {
	case code >= http.StatusInternalServerError && r.Context().Err() == nil:
		level = slog.LevelWarn
	case changes && code < http.StatusBadRequest && (!known || peer.Role != identity.RoleHost) && !strings.HasPrefix(r.URL.Path, "/v1/sessions/"):
		level = slog.LevelInfo // people change things; hosts do all the time
	}
	if !log.Enabled(ctx, level) {
		return
	}
	text := "request"
	if level == slog.LevelWarn {
		text = "request failed"
	}
	log.LogAttrs(ctx, level, text, slog.String("method", r.Method), slog.String("path", public(r.URL.Path)), slog.Int("status", code), slog.String("by", by),
		slog.String("from", r.RemoteAddr), slog.Duration("took", took))
}

// public is a path as others may read it: who knows the name of a resumable upload may go on
// with it.
func public(path string) string {
	for _, secret := range []string{"/files/", "/v1/files/"} {
		if strings.HasPrefix(path, secret) {
			return secret + "…"
		}
	}
	return path
}

// short is a path without what names one thing: its first two parts.
func short(path string) string {
	path = public(path)
	parts := strings.SplitN(path, "/", 4)
	if len(parts) > 3 {
		return strings.Join(parts[:3], "/") + "/…"
	}
	return path
}

// answer notes the status of an answer.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader is of http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if a.status == 0 && code >= http.StatusOK {
		a.status = code
	}
	a.ResponseWriter.WriteHeader(code)
}

// Write is of http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush is for those who ask for it by its interface.
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

func (a *answer) code() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}
