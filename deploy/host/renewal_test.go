package host

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestACertificateRenewsItself has the only member of a cluster renew its own, at two thirds of
// a short life.
func TestACertificateRenewsItself(t *testing.T) {
	cfg := everyRole(t)
	cfg.Roles = []string{config.RoleMeta}
	authority := filepath.Join(filepath.Dir(cfg.TLS), "ca")
	ca, err := identity.LoadCA(authority)
	if err == nil {
		err = ca.CreateIssuing(authority)
	}
	const life = 15 * time.Second
	if err == nil {
		err = ca.Issue(cfg.TLS, identity.Spec{Role: identity.RoleHost, ID: "h1", Roles: vstack.RoleMeta, Addrs: []string{hostOf(t, cfg)}, ValidFor: life})
	}
	if err == nil {
		err = identity.PlaceIssuing(authority, cfg.TLS)
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := identity.Load(cfg.TLS)
	if err != nil {
		t.Fatal(err)
	}
	var said sharedBuffer
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, wire.Version{}, slog.New(slog.NewTextHandler(&said, nil))) }()
	for deadline := time.Now().Add(2 * life); !said.has("this host's certificate is renewed"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it was not renewed")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	after, err := identity.Load(cfg.TLS)
	if err != nil || !after.NotAfter().After(before.NotAfter()) || after.Peer() != before.Peer() {
		t.Errorf("until %v for %+v, before that %v for %+v; %v", after.NotAfter(), after.Peer(), before.NotAfter(), before.Peer(), err)
	}
}

func hostOf(t *testing.T, cfg *config.Server) string {
	t.Helper()
	self, ok := cfg.Self()
	if !ok {
		t.Fatal("it is no member")
	}
	return self.API[:len(self.API)-len(":8080")]
}
