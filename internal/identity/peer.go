package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Role is what a certificate's owner is, in its OU.
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
	// Roles are what it may do.
	Roles vstack.Roles
}

// roleURI is followed by a role's name in a host's certificate.
const roleURI = "vstack://role/"

// PeerOf returns who presented the connection's client certificate. It is false for a
// reader, and for any certificate that the TLS stack did not verify.
func PeerOf(cs *tls.ConnectionState) (Peer, bool) {
	if cs == nil || len(cs.VerifiedChains) == 0 || len(cs.VerifiedChains[0]) == 0 {
		return Peer{}, false
	}
	chain := cs.VerifiedChains[0]
	p, ok := named(chain[0])
	if ok && p.Role != RoleHost && slices.Contains(chain[len(chain)-1].Subject.OrganizationalUnit, issuingUnit) {
		return Peer{}, false // whoever has a member's files is a host, and no administrator
	}
	return p, ok
}

// rolesOf reads a host's roles. Those of a certificate that names none are what hosts could
// do before there were roles; a name that this program does not know gives nothing.
func rolesOf(leaf *x509.Certificate) vstack.Roles {
	roles, said := vstack.Roles(0), false
	for _, u := range leaf.URIs {
		name, ok := strings.CutPrefix(u.String(), roleURI)
		if !ok {
			continue
		}
		said = true
		if r, err := vstack.ParseRole(name); err == nil {
			roles |= r & vstack.RolesHost
		}
	}
	if !said {
		return vstack.RolesUnsaid
	}
	return roles
}

// roleURIs is the form of roles in a certificate.
func roleURIs(roles vstack.Roles) (out []*url.URL) {
	for _, name := range roles.Names() {
		out = append(out, &url.URL{Scheme: "vstack", Host: "role", Path: "/" + name})
	}
	return out
}

// RequirePeer returns the request's peer if it has any of roles. Errors:
// ErrUnauthenticated without a client certificate, ErrForbidden with the wrong one.
func RequirePeer(r *http.Request, roles vstack.Roles) (Peer, error) {
	p, ok := PeerOf(r.TLS)
	if err := Require(p, ok, roles); err != nil {
		return Peer{}, fmt.Errorf("%s %.200s: %w", r.Method, r.URL.Path, err)
	}
	return p, nil
}

// Require judges somebody who is known, or not: the same for whoever asks by way of
// another.
func Require(p Peer, known bool, roles vstack.Roles) error {
	switch {
	case !known:
		return vstack.ErrUnauthenticated
	case !p.Roles.Has(roles):
		return fmt.Errorf("%w: the certificate of %q has the roles %q, want any of %q", vstack.ErrForbidden, p.ID, p.Roles, roles)
	}
	return nil
}
