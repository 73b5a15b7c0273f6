package serve

import (
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

// Browsers read chunks and their timings from any origin: chunks are public to whoever
// reaches the port, and no cookie is ever looked at.
var (
	anyOrigin     = []string{"*"}
	exposedHeader = []string{"Accept-Ranges, Content-Length, Content-Range, ETag, Retry-After, Server-Timing, " + wire.HeaderFragments + ", " + wire.HeaderLeaves + ", " + wire.HeaderStore}
	corsMethods   = []string{"GET, HEAD, OPTIONS"}
	corsHeaders   = []string{"Range, If-Range, If-None-Match, Priority, " + wire.HeaderFragments + ", " + wire.HeaderLeaves}
	corsMaxAge    = []string{"86400"}
)

// livez is never refused.
const livez = "/livez"

// handler is what comes before every route: limits, deadlines and the headers that
// all answers carry. altSvc is empty on QUIC.
func (e *Endpoint) handler(altSvc string) http.Handler {
	var alternatives []string
	if altSvc != "" {
		alternatives = []string{altSvc}
	}
	timeout, next := e.cfg.RequestTimeout, e.cfg.Handler
	limited := e.cfg.Gate.Limit(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Access-Control-Allow-Origin"] = anyOrigin
		h["Access-Control-Expose-Headers"] = exposedHeader
		h["Timing-Allow-Origin"] = anyOrigin
		if alternatives != nil {
			h["Alt-Svc"] = alternatives
		} else {
			// net/http does this for TCP by ReadTimeout and WriteTimeout.
			rc := http.NewResponseController(w)
			deadline := time.Now().Add(timeout)
			_, _ = rc.SetReadDeadline(deadline), rc.SetWriteDeadline(deadline) // the h3 writer supports both
		}
		if r.Method == http.MethodOptions {
			h["Access-Control-Allow-Methods"] = corsMethods
			h["Access-Control-Allow-Headers"] = corsHeaders
			h["Access-Control-Max-Age"] = corsMaxAge
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if s, ok := r.Context().Value(signalsKey{}).(*signals); ok {
			s.served(1)
			defer s.served(-1)
		}
		if r.URL.Path == livez { // it says that the process lives, however much it has to do
			next.ServeHTTP(w, r)
			return
		}
		limited.ServeHTTP(w, r)
	})
}

// Handshaken waits until the client has proved its certificate's key: a request that
// rode on 0-RTT may be a replay, which is harmless for reads and not for votes. It
// refreshes r.TLS.
func Handshaken(r *http.Request) error {
	s, ok := r.Context().Value(signalsKey{}).(*signals)
	if !ok || r.TLS != nil && r.TLS.HandshakeComplete {
		return nil
	}
	return s.handshaken(r)
}
