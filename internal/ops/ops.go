package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// readyTimeout bounds all checks of one /readyz together: a probe that hangs is a
// probe that failed.
const readyTimeout = 3 * time.Second

// Check is the outcome of one readiness check.
type Check struct {
	Name   string // "raft leader", "store 0197…"
	Err    error  // nil when the check passed
	Detail string // said with a check that passed, may be empty
}

// Config is what Handler serves.
type Config struct {
	// Version answers /version.
	Version wire.Version
	// Registry is served at /metrics; nil serves an empty one.
	Registry *prometheus.Registry
	// Ready makes the readiness checks, within the context's deadline; nil is always ready.
	Ready func(context.Context) []Check
	// OpenAPI is the document that /openapi.json answers, made by wire.OpenAPI.
	OpenAPI []byte
}

// Routes are the endpoints of Handler, for a role's OpenAPI document.
func Routes() []wire.Route {
	return []wire.Route{
		{Method: http.MethodGet, Path: "/livez", Heeds: wire.HeedsNothing, Summary: "Is the process alive"},
		{Method: http.MethodGet, Path: "/readyz", Heeds: wire.HeedsNothing, Summary: "Can the role do its work",
			Params: []wire.Param{{Name: "verbose", In: "query", Doc: "list every check"}},
			Errors: []*vstack.Sentinel{vstack.ErrUnavailable}},
		{Method: http.MethodGet, Path: "/metrics", Heeds: wire.HeedsNothing, Summary: "Metrics in the Prometheus text format"},
		{Method: http.MethodGet, Path: "/version", Heeds: wire.HeedsNothing, Summary: "Version, commit and roles", Response: wire.Version{}},
		{Method: http.MethodGet, Path: "/openapi.json", Heeds: wire.HeedsNothing, Summary: "This document"},
	}
}

// Handler serves GET /livez, /readyz, /metrics, /version and /openapi.json; any other
// request is answered with a 404 problem.
func Handler(cfg Config) http.Handler {
	reg := cfg.Registry
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", cfg.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, func(out io.Writer) error { return json.NewEncoder(out).Encode(cfg.Version) })
	})
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		if len(cfg.OpenAPI) == 0 {
			wire.WriteError(w, fmt.Errorf("OpenAPI document: %w", vstack.ErrNotFound))
			return
		}
		writeJSON(w, func(out io.Writer) error { _, err := out.Write(cfg.OpenAPI); return err })
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		wire.WriteError(w, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, vstack.ErrNotFound))
	})
	return mux
}

// serveReady answers like a Kubernetes probe: the status is for machines, the body
// for people.
func (c Config) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	var checks []Check
	if c.Ready != nil {
		checks = c.Ready(ctx)
	}
	status := http.StatusOK
	var out strings.Builder
	for _, ch := range checks {
		mark := "[+]"
		text := ch.Detail
		if ch.Err != nil {
			mark, text, status = "[-]", ch.Err.Error(), http.StatusServiceUnavailable
		}
		// A check's text may quote a peer's answer: one check stays one line.
		fmt.Fprintf(&out, "%s%s: %s\n", mark, ch.Name, strings.Join(strings.Fields(text), " "))
	}
	_, verbose := r.URL.Query()["verbose"]
	switch {
	case status != http.StatusOK:
		w.Header().Set("Retry-After", "1")
		out.WriteString("not ready\n")
		writeText(w, status, out.String())
	case verbose:
		out.WriteString("ready\n")
		writeText(w, status, out.String())
	default:
		writeText(w, status, "ready\n")
	}
}

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the peer may be gone; there is nobody else to tell
}

func writeJSON(w http.ResponseWriter, body func(io.Writer) error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_ = body(w) // the peer may be gone; there is nobody else to tell
}
