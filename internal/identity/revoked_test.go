package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// revocable is a server of host h1 and the identities of two clients, h2 and h3.
func revocable(t *testing.T, h http.Handler) (server *Identity, url string, clients [2]*Identity) {
	t.Helper()
	dir := t.TempDir()
	ca, err := CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	load := func(id string) *Identity {
		at := filepath.Join(dir, id)
		if err := ca.Issue(at, hostSpec(id)); err != nil {
			t.Fatal(err)
		}
		i, err := Load(at)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	server = load("h1")
	srv := httptest.NewUnstartedServer(server.Guard(h, func(w http.ResponseWriter, err error) {
		http.Error(w, err.Error(), http.StatusForbidden)
	}))
	srv.TLS, srv.EnableHTTP2 = server.ServerTLS(), true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return server, srv.URL, [2]*Identity{load("h2"), load("h3")}
}

func client(t *testing.T, i *Identity) *http.Client {
	tr := &http.Transport{TLSClientConfig: i.ClientTLS(), ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestARevokedCertificateLosesWhatItHasOpen(t *testing.T) {
	arrived := make(chan string, 2)
	server, url, ids := revocable(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/held": // as a feed that waits for news
			arrived <- r.URL.Path
			<-r.Context().Done()
		case "/body": // as an upload whose bytes stay away
			arrived <- r.URL.Path
			_, err := io.Copy(io.Discard, r.Body)
			if err == nil {
				t.Error("a body that never ended was read to its end")
			}
		}
	}))
	h2, h3 := client(t, ids[0]), client(t, ids[1])
	ended := make(chan struct{}, 2)
	open := func(method, path string, body io.Reader) {
		req, err := http.NewRequest(method, url+path, body)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if resp, err := h2.Do(req); err == nil {
				resp.Body.Close()
			}
			ended <- struct{}{}
		}()
	}
	r, w := io.Pipe()
	defer w.Close()
	open(http.MethodGet, "/held", nil)
	open(http.MethodPut, "/body", r)
	<-arrived
	<-arrived
	told := make(chan struct{})
	server.OnRevoke(func() { close(told) })
	server.Revoke([]vstack.Revocation{{Subject: "host h2", Before: time.Now()}}, 5)
	<-told
	<-ended
	<-ended
	server.Revoke(nil, 4) // of a member that lags behind
	for c, want := range map[*http.Client]int{h2: http.StatusForbidden, h3: http.StatusOK} {
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%d, want %d", resp.StatusCode, want)
		}
	}
}

func TestWhichCertificatesARevocationNames(t *testing.T) {
	server, url, ids := revocable(t, http.NotFoundHandler())
	leaf := ids[0].current.Load().cert.Leaf
	of := func(r vstack.Revocation) error {
		server.revoked.now.Store(nil)
		server.Revoke([]vstack.Revocation{r}, 1)
		return server.Revoked(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}})
	}
	for what, c := range map[string]struct {
		r    vstack.Revocation
		good bool
	}{
		"issued before":           {vstack.Revocation{Subject: "host h2", Before: leaf.NotBefore.Add(time.Second)}, false},
		"issued afterwards":       {vstack.Revocation{Subject: "host h2", Before: leaf.NotBefore}, true},
		"another host":            {vstack.Revocation{Subject: "host h3", Before: time.Now()}, true},
		"a person of that name":   {vstack.Revocation{Subject: "admin h2", Before: time.Now()}, true},
		"its serial number":       {vstack.Revocation{Serial: fmt.Sprintf("%x", leaf.SerialNumber)}, false},
		"another's serial number": {vstack.Revocation{Serial: "1"}, true},
	} {
		if err := of(c.r); (err == nil) != c.good || err != nil && !errors.Is(err, vstack.ErrRevoked) {
			t.Errorf("%s: %v", what, err)
		}
		if c.r.At = time.Now(); c.r.Check() != nil {
			t.Errorf("%s: %v", what, c.r.Check())
		}
	}
	if !ids[0].Names(vstack.Revocation{Subject: "host h2"}, time.Now().Add(time.Minute)) || ids[0].Names(vstack.Revocation{Subject: "host h3"}, time.Now()) {
		t.Error("it does not know its own certificate")
	}
	// Nobody dials a server whose certificate was revoked.
	ids[1].Revoke([]vstack.Revocation{{Subject: "host h1", Before: time.Now()}}, 1)
	if resp, err := client(t, ids[1]).Get(url); !errors.Is(err, vstack.ErrRevoked) {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestRevocationsThatSayNothing(t *testing.T) {
	for _, r := range []vstack.Revocation{
		{}, {Subject: "h2", Before: time.Now()}, {Subject: "host ", Before: time.Now()}, {Subject: "host a\nb", Before: time.Now()}, {Subject: "host h2"},
		{Subject: "host h2", Serial: "1", Before: time.Now()}, {Serial: "xyz"}, {Serial: "0a"}, {Serial: "AB"},
	} {
		if err := r.Check(); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
