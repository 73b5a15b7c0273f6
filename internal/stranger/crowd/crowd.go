package crowd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// Who is a client with a certificate, or without.
type Who struct {
	Name  string
	TLS   *tls.Config
	Roles vstack.Roles // none: a reader
	// Stopped says that the handshake is to fail, Revoked that every request is.
	Stopped, Revoked bool
}

// Revoked is whose certificates a server that Everybody visits has to have revoked.
var Revoked = []vstack.Revocation{{Subject: "host x-revoked", Before: time.Now().Add(time.Hour), At: time.Now()}}

// Everybody is one client of each kind: without a certificate, with each role alone, with a
// certificate of before there were roles, an administrator, and those whom no handshake
// lets in. caDir is that of ca. None of the hosts is a member or has a store.
func Everybody(t testing.TB, ca *identity.CA, caDir string) []Who {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(caDir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	with := func(ca *identity.CA, spec identity.Spec) *tls.Config {
		dir := filepath.Join(t.TempDir(), spec.ID)
		if err := ca.Issue(dir, spec); err != nil {
			t.Fatal(err)
		}
		cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }}
	}
	host := func(id string, roles vstack.Roles, validFor time.Duration) identity.Spec {
		return identity.Spec{ID: id, Role: identity.RoleHost, Roles: roles, Addrs: []string{"127.0.0.1"}, ValidFor: validFor}
	}
	all := []Who{{Name: "nobody", TLS: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots}}}
	for _, name := range vstack.RolesHost.Names() {
		roles, err := vstack.ParseRole(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Who{Name: name, Roles: roles, TLS: with(ca, host("x-"+name, roles, time.Hour))})
	}
	other, err := identity.CreateCA(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	return append(all,
		Who{Name: "old host", Roles: vstack.RolesUnsaid, TLS: with(ca, host("x-old", 0, time.Hour))},
		Who{Name: "admin", Roles: vstack.RoleAdmin, TLS: with(ca, identity.Spec{ID: "ann", Role: identity.RoleAdmin, ValidFor: time.Hour})},
		Who{Name: "revoked", Revoked: true, TLS: with(ca, host("x-revoked", vstack.RolesHost, time.Hour))},
		Who{Name: "other CA", Stopped: true, TLS: with(other, host("x-other", 0, time.Hour))},
		Who{Name: "expired", Stopped: true, TLS: with(ca, host("x-expired", 0, time.Nanosecond))})
}

// Client speaks one protocol, "HTTP/1.1", "HTTP/2.0" or "HTTP/3.0".
func Client(t testing.TB, cfg *tls.Config, proto string) *http.Client {
	t.Helper()
	if proto == "HTTP/3.0" {
		tr := &http3.Transport{TLSClientConfig: cfg.Clone(), QUICConfig: &quic.Config{}}
		t.Cleanup(func() { _ = tr.Close() })
		return &http.Client{Transport: tr, Timeout: 20 * time.Second}
	}
	var p http.Protocols
	p.SetHTTP1(proto == "HTTP/1.1")
	p.SetHTTP2(proto == "HTTP/2.0")
	tr := &http.Transport{TLSClientConfig: cfg.Clone(), Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// Verdict is what somebody is told, in a word: "no" to a handshake, "gone" to a certificate
// that was revoked, "401", "403" for the lack of a role, else "may".
func Verdict(resp *http.Response, err error) string {
	if err != nil {
		return "no"
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what came of it is judged
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return "401"
	case resp.StatusCode == http.StatusForbidden && (strings.Contains(string(body), `"REVOKED"`) || resp.Header.Get("Vstack-Code") == "REVOKED"):
		return "gone"
	case resp.StatusCode == http.StatusForbidden && strings.Contains(string(body), "has the roles"):
		return "403"
	}
	return "may"
}

// Want is the verdict that a route's roles ask for.
func (w Who) Want(roles vstack.Roles) string {
	switch {
	case w.Stopped:
		return "no"
	case w.Revoked:
		return "gone"
	case roles == 0 || w.Roles.Has(roles):
		return "may"
	case w.Roles == 0:
		return "401"
	}
	return "403"
}

// Row is a line of the matrix.
func Row(call string, roles vstack.Roles, verdicts []string) string {
	return fmt.Sprintf("%-46s %-14s %s", call, roles, strings.Join(verdicts, " "))
}
