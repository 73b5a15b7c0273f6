package identity

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Seen is what the files of an identity's directory say, be it good or not: whoever mends
// them has to know what lies there.
type Seen struct {
	Peer                Peer
	NotBefore, NotAfter time.Time
	authorities         []*x509.Certificate
	leaf                *x509.Certificate
}

// Look reads the certificate and the authorities of dir without judging them.
func Look(dir string) (Seen, error) {
	cas, err := readCerts(filepath.Join(dir, caCertFile))
	if err != nil {
		return Seen{}, fmt.Errorf("look at identity: %w", err)
	}
	chain, err := readCerts(filepath.Join(dir, certFile))
	if err != nil {
		return Seen{}, fmt.Errorf("look at identity: %w", err)
	}
	s := Seen{NotBefore: chain[0].NotBefore, NotAfter: chain[0].NotAfter, authorities: cas, leaf: chain[0]}
	s.Peer, _ = named(chain[0]) // nobody, where it names nobody
	return s, nil
}

// SameCluster reports whether both trust an authority.
func (s Seen) SameCluster(other Seen) bool {
	for _, a := range s.authorities {
		for _, b := range other.authorities {
			if bytes.Equal(a.Raw, b.Raw) {
				return true
			}
		}
	}
	return false
}

// SameIssuer reports whether one authority issued both certificates. A host's is issued by the
// cluster's at first, and by the issuing authority once it has renewed itself.
func (s Seen) SameIssuer(other Seen) bool { return bytes.Equal(s.leaf.RawIssuer, other.leaf.RawIssuer) }

// SameRights reports whether both certificates are of one peer, with the same roles and
// addresses.
func (s Seen) SameRights(other Seen) bool { return rights(s.leaf) == rights(other.leaf) }

// rights are a certificate's names in one string, in no particular order of its own.
func rights(c *x509.Certificate) string {
	names := []string{c.Subject.String()}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range c.URIs {
		names = append(names, uri.String())
	}
	names = append(names, c.DNSNames...)
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Authorities is a ca.crt of those that s trusts and behind them those of other.
func (s Seen) Authorities(other Seen) []byte {
	all := append([]*x509.Certificate(nil), s.authorities...)
	for _, b := range other.authorities {
		if !containsCert(all, b) {
			all = append(all, b)
		}
	}
	return encodeCerts(all)
}

func containsCert(all []*x509.Certificate, c *x509.Certificate) bool {
	for _, a := range all {
		if bytes.Equal(a.Raw, c.Raw) {
			return true
		}
	}
	return false
}

// named is who a certificate's subject says that its owner is.
func named(leaf *x509.Certificate) (Peer, bool) {
	s := leaf.Subject
	if s.CommonName == "" || len(s.OrganizationalUnit) != 1 || !Role(s.OrganizationalUnit[0]).valid() {
		return Peer{}, false
	}
	p := Peer{ID: s.CommonName, Role: Role(s.OrganizationalUnit[0]), Roles: vstack.RoleAdmin}
	if p.Role == RoleHost {
		p.Roles = rolesOf(leaf)
	}
	return p, true
}
