package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Router serves a table of routes and answers everything else with a problem.
type Router struct {
	mux     *http.ServeMux
	methods []string // that any route has
}

// NewRouter gives every route of the table its handler, by "METHOD /path"; a table and
// handlers that do not match are a programmer's error and panic.
func NewRouter(routes []wire.Route, handlers map[string]http.Handler) *Router {
	r := &Router{mux: http.NewServeMux()}
	seen := map[string]bool{}
	for _, route := range routes {
		key := route.Method + " " + route.Path
		h, ok := handlers[key]
		if !ok {
			panic("serve: route without a handler: " + key)
		}
		if route.Method == http.MethodHead {
			// ServeMux answers HEAD by the GET pattern; both are one handler.
			delete(handlers, key)
			continue
		}
		r.mux.Handle(key, h)
		delete(handlers, key)
		if !seen[route.Method] {
			seen[route.Method] = true
			r.methods = append(r.methods, route.Method)
		}
	}
	for key := range handlers {
		panic("serve: handler without a route: " + key)
	}
	return r
}

// ServeHTTP refuses a path that is not in its plain form before it looks for a route:
// no dot segments, no doubled or encoded slashes, nothing to normalise.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p := req.URL.Path
	if req.URL.RawPath != "" || !strings.HasPrefix(p, "/") || path.Clean(p) != p {
		wire.WriteError(w, fmt.Errorf("path %q: %w: not in its plain form", clip(req.URL.EscapedPath()), vstack.ErrInvalid))
		return
	}
	if _, pattern := r.mux.Handler(req); pattern != "" {
		r.mux.ServeHTTP(w, req)
		return
	}
	if allow := r.allowed(req); len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		refuseMethod(w, req)
		return
	}
	wire.WriteError(w, fmt.Errorf("%s: %w", clip(p), vstack.ErrNotFound))
}

// refuseMethod answers 405, which no sentinel maps to: only a router can say it.
func refuseMethod(w http.ResponseWriter, req *http.Request) {
	p := wire.ProblemOf(fmt.Errorf("%s %s: %w: method not allowed", clip(req.Method), clip(req.URL.Path), vstack.ErrInvalid))
	p.Status = http.StatusMethodNotAllowed
	w.Header().Set("Content-Type", wire.ProblemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the peer may be gone; there is nobody else to tell
}

func (r *Router) allowed(req *http.Request) []string {
	var allow []string
	probe := *req
	for _, method := range r.methods {
		probe.Method = method
		if _, pattern := r.mux.Handler(&probe); pattern != "" {
			allow = append(allow, method)
			if method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
	}
	return allow
}
