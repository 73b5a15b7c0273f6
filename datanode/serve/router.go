package serve

import (
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Router serves a table of routes, each to the roles of its row, and answers everything
// else with a problem.
type Router struct {
	mux     *http.ServeMux
	methods []string // that any route has
	refuse  func(http.ResponseWriter, error)
}

// NewRouter gives every route of the table its handler, by "METHOD /path"; a table and
// handlers that do not match are a programmer's error and panic. Who has none of a route's
// roles is told so by refuse; nil is wire.WriteError.
func NewRouter(routes []wire.Route, handlers map[string]http.Handler, refuse func(http.ResponseWriter, error)) *Router {
	if refuse == nil {
		refuse = wire.WriteError
	}
	r := &Router{mux: http.NewServeMux(), refuse: refuse}
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
		r.mux.Handle(key, r.guarded(route.Roles, h))
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

// guarded lets the roles of a route in. A request that rode on 0-RTT may be a replay, so that
// the client has to prove its certificate's key first.
func (r *Router) guarded(roles vstack.Roles, h http.Handler) http.Handler {
	if roles == 0 {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		err := wire.SameOrigin(req)
		if err == nil {
			err = Handshaken(req)
		}
		if err == nil {
			_, err = identity.RequirePeer(req, roles)
		}
		if err != nil {
			r.refuse(w, err)
			return
		}
		h.ServeHTTP(w, req)
	})
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

func refuseMethod(w http.ResponseWriter, req *http.Request) {
	wire.WriteError(w, fmt.Errorf("%s %s: %w", clip(req.Method), clip(req.URL.Path), vstack.ErrMethod))
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
