package host

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/wire"
)

// sharedBuffer is a log that is read while it is written.
type sharedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sharedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sharedBuffer) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.b.String(), text)
}

func TestAHostTellsWhatBecameOfNewCertificates(t *testing.T) {
	dir := t.TempDir()
	ca, err := identity.CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	tls := filepath.Join(dir, "tls")
	issue := func() {
		t.Helper()
		spec := identity.Spec{Role: identity.RoleHost, ID: "h1", Addrs: []string{"127.0.0.1"}}
		if err := ca.Issue(tls, spec); err != nil {
			t.Fatal(err)
		}
	}
	issue()
	var said sharedBuffer
	cfg := config.DefaultServer()
	cfg.Host, cfg.TLS, cfg.Roles = "h1", tls, nil
	cfg.Meta.Peers = []config.Peer{{ID: "h1", Raft: "127.0.0.1:1", API: "127.0.0.1:1"}} // nobody dials it
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, &cfg, wire.Version{}, slog.New(slog.NewTextHandler(&said, nil))) }()
	wait := func(text string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !said.has(text); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log never said %q", text)
			}
		}
	}
	wait("host runs")
	if err := os.WriteFile(filepath.Join(tls, "tls.crt"), []byte("no certificate"), 0o644); err != nil {
		t.Fatal(err)
	}
	wait("new certificates are not used")
	issue()
	wait("new certificates are in use")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
