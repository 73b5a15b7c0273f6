package watch

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

const (
	// Header is where a request has its token behind Carry. Clients that can set headers may
	// send it so.
	Header = "Vstack-Token"
	// Query is the parameter that carries a token, and Prefix begins a path that does:
	// "/t/TOKEN/…". Native players cannot set headers, and follow paths.
	Query  = "t"
	Prefix = "/t/"
)

// Carry takes the token out of a request's address before anything else sees it: logs, spans
// and errors name paths. Answers to requests with one send no Referer on.
func Carry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, Prefix) || strings.Contains(r.URL.RawQuery, Query+"=") {
			r = moved(r)
		}
		if r.Header[Header] != nil {
			w.Header().Set("Referrer-Policy", "no-referrer")
		}
		next.ServeHTTP(w, r)
	})
}

// moved is the request with the token in its header. A token in the path is the one that
// counts, as what names the path chose it.
func moved(r *http.Request) *http.Request {
	u := *r.URL
	var token string
	u.RawQuery, token = cut(u.RawQuery)
	prefixed := false
	if rest, ok := strings.CutPrefix(u.EscapedPath(), Prefix); ok {
		if t, path, ok := strings.Cut(rest, "/"); ok {
			if plain, err := url.PathUnescape("/" + path); err == nil {
				token, prefixed = t, true
				u.Path, u.RawPath = plain, ""
				if p := (&url.URL{Path: plain}).EscapedPath(); p != "/"+path {
					u.RawPath = "/" + path
				}
			}
		}
	}
	if token == "" && !prefixed {
		return r
	}
	out := r.Clone(r.Context())
	out.URL, out.RequestURI = &u, u.RequestURI()
	out.Header.Set(Header, token)
	if prefixed {
		out.Header.Set(prefixHeader, Prefix+token)
	}
	return out
}

// prefixHeader says that the token came in the path, for addresses in answers.
const prefixHeader = "Vstack-Token-Prefix"

// cut takes the parameter out of a query, and keeps the order of the others.
func cut(query string) (rest, token string) {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); name == Query {
			if t, err := url.QueryUnescape(value); err == nil {
				token = t
			}
			continue
		}
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&"), token
}

// Of is the token of a request behind Carry; empty for none.
func Of(r *http.Request) string { return r.Header.Get(Header) }

// InPath reports whether the token came in the path, where addresses that are relative keep it.
func InPath(r *http.Request) bool { return r.Header[prefixHeader] != nil }

type tokenKey struct{}

// With has what is asked under the context be asked with a token.
func With(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// In is the token of a context; empty for none.
func In(ctx context.Context) string {
	token, _ := ctx.Value(tokenKey{}).(string)
	return token
}
