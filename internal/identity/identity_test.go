package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCA(t *testing.T) (*CA, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	ca, err := CreateCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca, dir
}

func issue(t *testing.T, ca *CA, spec Spec) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tls")
	if err := ca.Issue(dir, spec); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, dir string) *Identity {
	t.Helper()
	i, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func hostSpec(id string) Spec {
	return Spec{ID: id, Role: RoleHost, Addrs: []string{"127.0.0.1", "localhost"}}
}

// serve answers with the peer's id and role, or 401, over TLS configured by cfg.
func serve(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := RequirePeer(r, vstack.RolesHost|vstack.RoleAdmin)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, p.ID+" "+string(p.Role)+" "+r.Proto)
	}))
	srv.TLS = cfg
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

func get(t *testing.T, url string, cfg *tls.Config) (int, string, error) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func TestHostsProveThemselvesToEachOther(t *testing.T) {
	ca, _ := newCA(t)
	url := serve(t, load(t, issue(t, ca, hostSpec("h1"))).MutualTLS())
	for _, spec := range []Spec{hostSpec("h2"), {ID: "ann", Role: RoleAdmin}} {
		status, body, err := get(t, url, load(t, issue(t, ca, spec)).ClientTLS())
		if want := spec.ID + " " + string(spec.Role) + " HTTP/2.0"; err != nil || status != 200 || body != want {
			t.Errorf("%s: %d %q, %v; want %q", spec.ID, status, body, err, want)
		}
	}
}

func TestReaderIsServedAnonymously(t *testing.T) {
	ca, caDir := newCA(t)
	host := load(t, issue(t, ca, hostSpec("h1")))
	reader, err := LoadRoots(filepath.Join(caDir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, host.ServerTLS())
	if status, _, err := get(t, url, reader.ClientTLS()); err != nil || status != http.StatusUnauthorized {
		t.Errorf("reader: %d, %v; want 401 from RequirePeer", status, err)
	}
	if _, body, err := get(t, url, host.ClientTLS()); err != nil || !strings.HasPrefix(body, "h1 host") {
		t.Errorf("host on a reader's listener: %q, %v", body, err)
	}
	if reader.SPKIHash() != "" || reader.Peer() != (Peer{}) || !reader.NotAfter().IsZero() {
		t.Error("a reader has a certificate")
	}
	if reader.ResetKey() == [32]byte{} {
		t.Error("a reader's reset key is all zeroes")
	}
}

func TestMutualTLSRefuses(t *testing.T) {
	ca, caDir := newCA(t)
	url := serve(t, load(t, issue(t, ca, hostSpec("h1"))).MutualTLS())
	roots := readRoots(t, caDir)

	t.Run("a reader without certificate", func(t *testing.T) {
		reader, err := LoadRoots(filepath.Join(caDir, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		if status, _, err := get(t, url, reader.ClientTLS()); err == nil {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("a certificate of another CA", func(t *testing.T) {
		other, _ := newCA(t)
		cfg := load(t, issue(t, other, hostSpec("h2"))).ClientTLS()
		cfg.RootCAs = roots
		if status, _, err := get(t, url, cfg); err == nil {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("an expired certificate", func(t *testing.T) {
		cert := expiredCert(t, ca, "h2")
		cfg := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}
		if status, _, err := get(t, url, cfg); err == nil {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		cfg := load(t, issue(t, ca, hostSpec("h2"))).ClientTLS()
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if status, _, err := get(t, url, cfg); err == nil {
			t.Errorf("answered %d", status)
		}
	})
}

func TestClientRefusesServer(t *testing.T) {
	ca, _ := newCA(t)
	client := load(t, issue(t, ca, hostSpec("h2")))

	t.Run("of another CA", func(t *testing.T) {
		other, _ := newCA(t)
		_, _, err := get(t, serve(t, load(t, issue(t, other, hostSpec("h1"))).ServerTLS()), client.ClientTLS())
		var unknown x509.UnknownAuthorityError
		if !errors.As(err, &unknown) {
			t.Errorf("got %v, want an unknown authority", err)
		}
	})
	t.Run("at an address that its certificate does not name", func(t *testing.T) {
		spec := Spec{ID: "h1", Role: RoleHost, Addrs: []string{"127.0.0.9"}}
		_, _, err := get(t, serve(t, load(t, issue(t, ca, spec)).ServerTLS()), client.ClientTLS())
		var hostname x509.HostnameError
		if !errors.As(err, &hostname) {
			t.Errorf("got %v, want a host name error", err)
		}
	})
	t.Run("that is an administrator", func(t *testing.T) {
		spec := Spec{ID: "ann", Role: RoleAdmin, Addrs: []string{"127.0.0.1"}}
		if status, _, err := get(t, serve(t, load(t, issue(t, ca, spec)).ServerTLS()), client.ClientTLS()); err == nil {
			t.Errorf("answered %d", status)
		}
	})
	t.Run("that is a reader", func(t *testing.T) {
		dir := issue(t, ca, hostSpec("h1"))
		reader, err := LoadRoots(filepath.Join(dir, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		if status, _, err := get(t, serve(t, reader.ServerTLS()), client.ClientTLS()); err == nil {
			t.Errorf("answered %d", status)
		}
	})
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	ca, caDir := newCA(t)
	cases := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  error
	}{
		{"expired", func(t *testing.T, dir string) {
			tmpl, err := ca.template(hostSpec("h1"), time.Now().Add(-time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			tmpl.NotAfter = time.Now().Add(-time.Minute)
			if err := ca.write(dir, tmpl, load(t, dir).current.Load().cert.PrivateKey.(cryptoSigner)); err != nil {
				t.Fatal(err)
			}
		}, ErrExpired},
		{"not yet valid", func(t *testing.T, dir string) {
			tmpl, err := ca.template(hostSpec("h1"), time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if err := ca.write(dir, tmpl, load(t, dir).current.Load().cert.PrivateKey.(cryptoSigner)); err != nil {
				t.Fatal(err)
			}
		}, ErrExpired},
		{"wrong CA", func(t *testing.T, dir string) {
			_, other := newCA(t)
			copyFile(t, filepath.Join(other, "ca.crt"), filepath.Join(dir, "ca.crt"), 0o644)
		}, ErrWrongCA},
		{"key of another certificate", func(t *testing.T, dir string) {
			copyFile(t, filepath.Join(caDir, "ca.key"), filepath.Join(dir, "tls.key"), 0o600)
		}, ErrKeyMismatch},
		{"key readable by everyone", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "tls.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, ErrKeyExposed},
		{"no key", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "tls.key")); err != nil {
				t.Fatal(err)
			}
		}, vstack.ErrNotFound},
		{"a leaf in the CA's place", func(t *testing.T, dir string) {
			copyFile(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "ca.crt"), 0o644)
		}, vstack.ErrInvalid},
		{"text", func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, "tls.crt"), []byte("hello")) }, vstack.ErrInvalid},
		{"broken DER", func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, "tls.crt"), []byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"))
		}, vstack.ErrInvalid},
		{"broken key", func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, "tls.key"), []byte("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"))
		}, vstack.ErrInvalid},
		{"oversize file", func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, "ca.crt"), make([]byte, maxPEM+1))
		}, vstack.ErrTooLarge},
		{"no role", func(t *testing.T, dir string) {
			tmpl, err := ca.template(hostSpec("h1"), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			tmpl.Subject.OrganizationalUnit = []string{"root"}
			if err := ca.write(dir, tmpl, load(t, dir).current.Load().cert.PrivateKey.(cryptoSigner)); err != nil {
				t.Fatal(err)
			}
		}, vstack.ErrInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := issue(t, ca, hostSpec("h1"))
			running := load(t, dir)
			before := running.SPKIHash()
			c.spoil(t, dir)
			if _, err := Load(dir); !errors.Is(err, c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Load: %v; want %v and the path", err, c.want)
			}
			if err := running.Reload(); !errors.Is(err, c.want) {
				t.Errorf("Reload: %v; want %v", err, c.want)
			}
			if running.SPKIHash() != before {
				t.Error("a refused Reload changed the identity")
			}
		})
	}
}

func TestReloadUnderTraffic(t *testing.T) {
	ca, _ := newCA(t)
	dir := issue(t, ca, hostSpec("h1"))
	server := load(t, dir)
	addr := echoServer(t, server.MutualTLS())
	client := load(t, issue(t, ca, hostSpec("h2")))

	old := dialEcho(t, addr, client.ClientTLS())
	first := old.ConnectionState().PeerCertificates[0].Raw
	firstReset := server.ResetKey()

	// Handshakes run all the while; none may fail.
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			c, err := tls.Dial("tcp", addr, client.ClientTLS())
			if err == nil {
				err = echo(c)
				_ = c.Close()
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for range 5 {
		if err := ca.Issue(dir, hostSpec("h1")); err != nil {
			t.Fatal(err)
		}
		if err := server.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("handshake during a reload: %v", err)
	}
	if err := echo(old); err != nil {
		t.Errorf("the connection from before the reload: %v", err)
	}
	fresh := dialEcho(t, addr, client.ClientTLS()).ConnectionState().PeerCertificates[0]
	if bytes.Equal(first, fresh.Raw) {
		t.Error("a new handshake got the old certificate")
	}
	if got := server.current.Load().cert.Leaf; !got.Equal(fresh) {
		t.Error("a new handshake got a certificate that is not the current one")
	}
	if server.ResetKey() == firstReset {
		t.Error("the reset key did not change with the private key")
	}
	if again := load(t, dir); again.ResetKey() != server.ResetKey() || again.SPKIHash() != server.SPKIHash() {
		t.Error("the same files give another reset key or SPKI hash")
	}
}

func TestReloadedRootsDecideWhoMayEnter(t *testing.T) {
	ca, caDir := newCA(t)
	other, otherDir := newCA(t)
	dir := issue(t, ca, hostSpec("h1"))
	server := load(t, dir)
	addr := echoServer(t, server.MutualTLS())
	stranger := load(t, issue(t, other, hostSpec("h9"))).ClientTLS()
	stranger.RootCAs = readRoots(t, caDir)

	if c, err := tls.Dial("tcp", addr, stranger); err == nil && echo(c) == nil {
		t.Fatal("a stranger was let in before its CA was trusted")
	}
	both := append(readBytes(t, filepath.Join(caDir, "ca.crt")), readBytes(t, filepath.Join(otherDir, "ca.crt"))...)
	overwrite(t, filepath.Join(dir, "ca.crt"), both)
	if err := server.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := echo(dialEcho(t, addr, stranger)); err != nil {
		t.Errorf("the second CA is not trusted after the reload: %v", err)
	}
}

func TestRunReloadsWhenFilesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Everything is made in the bubble, whose year is 2000.
		ca, _ := newCA(t)
		dir := issue(t, ca, hostSpec("h1"))
		i := load(t, dir)
		events := make(chan error, 8)
		i.OnReload(func(err error) { events <- err })
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { cancel(); <-ended }()
		go func() { ended <- i.Run(ctx) }()
		synctest.Wait()

		before := i.SPKIHash()
		if err := ca.Issue(dir, hostSpec("h1")); err != nil {
			t.Fatal(err)
		}
		if err := <-events; err != nil {
			t.Fatalf("reload: %v", err)
		}
		if i.SPKIHash() == before {
			t.Error("Run did not load the new files")
		}
		overwrite(t, filepath.Join(dir, "tls.crt"), []byte("broken"))
		if err := <-events; !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("a broken file was reported as %v", err)
		}
		time.Sleep(10 * pollInterval) // virtual
		synctest.Wait()
		if len(events) != 0 {
			t.Error("one state of the files was reported more than once")
		}
		if err := ca.Issue(dir, hostSpec("h1")); err != nil {
			t.Fatal(err)
		}
		if err := <-events; err != nil {
			t.Errorf("mended files: %v", err)
		}
	})
}

func TestFilesHaveTheirModes(t *testing.T) {
	ca, caDir := newCA(t)
	dir := issue(t, ca, hostSpec("h1"))
	for path, want := range map[string]os.FileMode{
		filepath.Join(caDir, "ca.crt"): 0o644, filepath.Join(caDir, "ca.key"): 0o600,
		filepath.Join(dir, "ca.crt"): 0o644, filepath.Join(dir, "tls.crt"): 0o644, filepath.Join(dir, "tls.key"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
	for _, d := range []string{caDir, dir} {
		entries, err := os.ReadDir(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("temporary file %s left behind", e.Name())
			}
		}
	}
}

func TestCAIsNeverReplaced(t *testing.T) {
	ca, dir := newCA(t)
	if _, err := CreateCA(dir); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("second CreateCA: %v", err)
	}
	loaded, err := LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !loaded.cert.Equal(ca.cert) {
		t.Error("LoadCA read another certificate than CreateCA made")
	}
	load(t, issue(t, loaded, hostSpec("h1")))
}

func TestIssueRefuses(t *testing.T) {
	ca, _ := newCA(t)
	for name, spec := range map[string]Spec{
		"no id":             {Role: RoleHost, Addrs: []string{"127.0.0.1"}},
		"long id":           {ID: strings.Repeat("x", 65), Role: RoleAdmin},
		"unknown role":      {ID: "h1", Role: "root", Addrs: []string{"127.0.0.1"}},
		"no address":        {ID: "h1", Role: RoleHost},
		"address with port": {ID: "h1", Role: RoleHost, Addrs: []string{"127.0.0.1:8080"}},
		"negative validity": {ID: "h1", Role: RoleAdmin, ValidFor: -time.Second},
	} {
		if err := ca.Issue(t.TempDir(), spec); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestRolesAreInTheCertificate(t *testing.T) {
	ca, _ := newCA(t)
	for _, roles := range []vstack.Roles{vstack.RoleGateway, vstack.RoleData | vstack.RoleMeta, vstack.RolesHost} {
		spec := hostSpec("h1")
		spec.Roles = roles
		if got := load(t, issue(t, ca, spec)).Peer().Roles; got != roles {
			t.Errorf("issued with %s, reads as %s", roles, got)
		}
	}
	if got := load(t, issue(t, ca, hostSpec("h1"))).Peer().Roles; got != vstack.RolesUnsaid {
		t.Errorf("one that names none: %s", got)
	}
	if got := load(t, issue(t, ca, Spec{ID: "ann", Role: RoleAdmin})).Peer().Roles; got != vstack.RoleAdmin {
		t.Errorf("an administrator's: %s", got)
	}
	for _, spec := range []Spec{{ID: "ann", Role: RoleAdmin, Roles: vstack.RoleMeta}, {ID: "h1", Role: RoleHost, Addrs: []string{"::1"}, Roles: vstack.RoleAdmin}} {
		if err := ca.Issue(t.TempDir(), spec); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%+v is issued: %v", spec, err)
		}
	}
	// Whatever is written into a host's certificate, it is no administrator's; and what a
	// later program gives a name to, this one gives nothing for.
	odd := &x509.Certificate{URIs: []*url.URL{{Scheme: "vstack", Host: "role", Path: "/admin"}, {Scheme: "vstack", Host: "role", Path: "/archive"}}}
	if got := rolesOf(odd); got != 0 {
		t.Errorf("of admin and archive: %s", got)
	}
}

func TestRequirePeerChecksRoles(t *testing.T) {
	ca, _ := newCA(t)
	host := load(t, issue(t, ca, hostSpec("h1")))
	leaf := host.current.Load().cert.Leaf
	r := httptest.NewRequest(http.MethodPut, "/v1/x", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
	if _, err := RequirePeer(r, vstack.RoleAdmin); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("unverified certificate: %v, want ErrUnauthenticated", err)
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{leaf, ca.cert}}
	if p, err := RequirePeer(r, vstack.RoleAdmin|vstack.RoleData); err != nil || p != (Peer{"h1", RoleHost, vstack.RolesUnsaid}) {
		t.Errorf("host: %v, %v", p, err)
	}
	if _, err := RequirePeer(r, vstack.RoleAdmin); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("host as administrator: %v, want ErrForbidden", err)
	}
	r.TLS = nil
	if _, err := RequirePeer(r, vstack.RoleAdmin); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("plain HTTP: %v, want ErrUnauthenticated", err)
	}
}

// echoServer accepts TLS connections and returns what they send.
func echoServer(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan struct{})
	go func() {
		defer close(conns)
		var open []chan struct{}
		for {
			c, err := ln.Accept()
			if err != nil {
				break
			}
			done := make(chan struct{})
			open = append(open, done)
			go func() {
				defer close(done)
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
		for _, done := range open {
			<-done
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-conns })
	return ln.Addr().String()
}

func dialEcho(t *testing.T, addr string, cfg *tls.Config) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := echo(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func echo(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("ping")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}
