package pages

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/gateway/watching"
)

const (
	cookieName = "vstack_console"
	tokenBytes = 32
	// maxToken bounds the body of POST /session.
	maxToken = 256
)

// newToken draws the secret of one run.
func newToken() string {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // never fails: the process ends first
	return base64.RawURLEncoding.EncodeToString(b)
}

// guard lets in what comes from the console's own pages, and whoever has the token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.names[r.Host] {
			refuse(w, fmt.Errorf("host %q: %w: this console is %s", clip(r.Host), vstack.ErrForbidden, s.addr))
			return
		}
		if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host {
			refuse(w, fmt.Errorf("origin %q: %w: only the console's own pages may ask", clip(o), vstack.ErrForbidden))
			return
		}
		known := s.knows(r)
		if known {
			r = r.WithContext(watching.Inside(r.Context()))
		}
		if !public(r) && !known {
			refuse(w, fmt.Errorf("%s %s: %w: open the link that vstack console printed", r.Method, clip(r.URL.Path), vstack.ErrUnauthenticated))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// public is what anybody on this machine may read: the pages, which hold nothing, and
// films, so that a player beside the browser can be given their address.
func public(r *http.Request) bool {
	if r.URL.Path == "/session" {
		return r.Method == http.MethodPost
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	return read && !strings.HasPrefix(r.URL.Path, "/v1/") && !strings.HasPrefix(r.URL.Path, "/up/") && !strings.HasPrefix(r.URL.Path, "/files") &&
		r.URL.Path != "/metrics"
}

// knows says that a request carries the token, as a cookie or as a bearer's. What else a page
// shows as a bearer is a ticket, for an uploader.
func (s *Server) knows(r *http.Request) bool {
	if s.bears(r.Header) {
		return true
	}
	c, err := r.Cookie(cookieName)
	return err == nil && s.is(c.Value)
}

// bears says that the Authorization is this console's own.
func (s *Server) bears(h http.Header) bool {
	t, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	return ok && s.is(t)
}

func (s *Server) is(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// postSession trades the token for a cookie that scripts cannot read and other sites
// cannot send.
func (s *Server) postSession(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxToken))
	if err != nil || !s.is(string(b)) {
		refuse(w, fmt.Errorf("session: %w: not this console's token: it is new at every start", vstack.ErrForbidden))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: s.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

func refuse(w http.ResponseWriter, err error) { wire.WriteError(w, err) }

// clip shortens what a stranger sent before it is said again.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
