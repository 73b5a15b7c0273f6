package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// request comes from an address to an address, under a certificate with the OU, if any.
func request(from, to, ou string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://h1:8084/upload", nil)
	r.RemoteAddr = from
	local, _ := net.ResolveTCPAddr("tcp", to)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	r.TLS = &tls.ConnectionState{}
	if ou != "" {
		leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "x", OrganizationalUnit: []string{ou}}}
		r.TLS.VerifiedChains = [][]*x509.Certificate{{leaf}}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestUploadsAreClosedBeyondThisMachine(t *testing.T) {
	for _, c := range []struct {
		what           string
		r              *http.Request
		create, cancel bool // on a closed gate
	}{
		{"somebody on the network", request("10.0.0.9:1", "10.0.0.1:8084", ""), false, false},
		{"somebody on loopback", request("127.0.0.1:1", "127.0.0.2:8084", ""), true, true},
		{"the same in IPv6", request("[::1]:1", "[::1]:8084", ""), true, true},
		{"somebody who claims loopback from afar", request("127.0.0.1:1", "10.0.0.1:8084", ""), false, false},
		{"a proxy on this machine", request("127.0.0.1:1", "127.0.0.1:8084", "", "X-Forwarded-For", "10.0.0.9"), false, false},
		{"one that says so otherwise", request("127.0.0.1:1", "127.0.0.1:8084", "", "Forwarded", "for=10.0.0.9"), false, false},
		{"an administrator", request("10.0.0.9:1", "10.0.0.1:8084", "admin"), true, true},
		{"an administrator by a proxy", request("10.0.0.9:1", "10.0.0.1:8084", "admin", "Via", "1.1 x"), true, true},
		{"a host", request("10.0.0.9:1", "10.0.0.1:8084", "host"), false, false},
	} {
		closed, open := New(false, nil), New(true, nil)
		if err := closed.Create(c.r, 1); (err == nil) != c.create || err != nil && !errors.Is(err, vstack.ErrUnauthenticated) {
			t.Errorf("%s uploads: %v", c.what, err)
		}
		if err := open.Create(c.r, 1); err != nil {
			t.Errorf("%s uploads where everybody may: %v", c.what, err)
		}
		for _, g := range []*Gate{closed, open} {
			if err := g.Cancel(c.r, vstack.TicketID{}); (err == nil) != c.cancel {
				t.Errorf("%s cancels: %v", c.what, err)
			}
		}
	}
}
