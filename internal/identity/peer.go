package identity

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Role says what a certificate's owner may do.
type Role string

const (
	// RoleHost serves roles and talks to other hosts.
	RoleHost Role = "host"
	// RoleAdmin is a person or tool that may change the catalog.
	RoleAdmin Role = "admin"
)

func (r Role) valid() bool { return r == RoleHost || r == RoleAdmin }

// Peer is the verified other end of a connection.
type Peer struct {
	ID   string
	Role Role
}

// PeerOf returns who presented the connection's client certificate. It is false for a
// reader, and for any certificate that the TLS stack did not verify.
func PeerOf(cs *tls.ConnectionState) (Peer, bool) {
	if cs == nil || len(cs.VerifiedChains) == 0 || len(cs.VerifiedChains[0]) == 0 {
		return Peer{}, false
	}
	s := cs.VerifiedChains[0][0].Subject
	if s.CommonName == "" || len(s.OrganizationalUnit) != 1 || !Role(s.OrganizationalUnit[0]).valid() {
		return Peer{}, false
	}
	return Peer{ID: s.CommonName, Role: Role(s.OrganizationalUnit[0])}, true
}

// RequirePeer returns the request's peer if it has one of roles (any role, if none is
// named). Errors: ErrUnauthenticated without a client certificate, ErrForbidden with
// the wrong one.
func RequirePeer(r *http.Request, roles ...Role) (Peer, error) {
	p, ok := PeerOf(r.TLS)
	if !ok {
		return Peer{}, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, vstack.ErrUnauthenticated)
	}
	if len(roles) > 0 && !slices.Contains(roles, p.Role) {
		return Peer{}, fmt.Errorf("%s %s: %w: %q has role %q, want %q", r.Method, r.URL.Path, vstack.ErrForbidden, p.ID, p.Role, roles)
	}
	return p, nil
}
