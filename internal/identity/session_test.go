package identity

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"testing"
)

func TestOnlyReadersResumeSessions(t *testing.T) {
	dir := t.TempDir()
	ca, err := CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "h1")
	if err := ca.Issue(own, Spec{ID: "h1", Role: RoleHost, Addrs: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	host, err := Load(own)
	if err != nil {
		t.Fatal(err)
	}
	server := host.ServerTLS()
	// twice shakes hands two times and tells whether the second resumed the first.
	twice := func(cfg *tls.Config) (resumed bool) {
		cfg = cfg.Clone()
		cfg.ServerName, cfg.ClientSessionCache = "127.0.0.1", tls.NewLRUClientSessionCache(1)
		for range 2 {
			near, far := net.Pipe()
			done := make(chan error, 1)
			go func() {
				c := tls.Server(far, server)
				_, err := c.Write([]byte("x"))
				done <- err
			}()
			c := tls.Client(near, cfg)
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			resumed = c.ConnectionState().DidResume
			_, _ = near.Close(), far.Close()
		}
		return resumed
	}
	bare := host.ClientTLS()
	bare.GetClientCertificate = nil
	if !twice(bare) {
		t.Error("a reader's session was not resumed")
	}
	if twice(host.ClientTLS()) {
		t.Error("the session of a host was resumed")
	}
}
