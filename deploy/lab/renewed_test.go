package lab

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// renews has the host do what it does by itself after two thirds of its certificate's life.
func (s *site) renews(t *testing.T) {
	t.Helper()
	dir := filepath.Join(s.b, tlsDir)
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := id.Issuing()
	if err != nil {
		t.Fatal(err)
	}
	r, err := identity.NewRenewal()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(read(t, filepath.Join(dir, "tls.crt"))))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := issuing.Renew(leaf, r.Request, time.Now().Add(5*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Take(r, cert.Raw); err != nil {
		t.Fatal(err)
	}
}

func TestABundleForAHostThatRenewedItself(t *testing.T) {
	t.Run("keeps the host's certificate and brings the rest", func(t *testing.T) {
		s := newSite(t)
		s.join(t, "b")
		old := s.bundle(t, "b")
		s.renews(t)
		own := key(t, s.b)
		j, err := Join(old, s.b)
		if err != nil || len(j.Changed) > 0 || !strings.Contains(strings.Join(j.Kept, "\n"), "has renewed it since the bundle was packed") {
			t.Errorf("got %+v, %v", j, err)
		}
		if key(t, s.b) != own {
			t.Error("the certificate was replaced by an older one")
		}
	})
	t.Run("moves the host", func(t *testing.T) {
		s := newSite(t)
		s.join(t, "b")
		if _, err := s.SetAddress("b", "10.0.0.9"); err != nil {
			t.Fatal(err)
		}
		moves := s.bundle(t, "b")
		s.renews(t)
		own := key(t, s.b)
		if j, err := Join(moves, s.b); err != nil || !strings.Contains(strings.Join(j.Changed, "\n"), "10.0.0.9") || !strings.Contains(j.Changed[0], "certificate") {
			t.Errorf("got %+v, %v", j, err)
		}
		if key(t, s.b) == own {
			t.Error("the certificate is that of the old address")
		}
	})
	t.Run("that is older than the last one is refused", func(t *testing.T) {
		s := newSite(t)
		old := s.bundle(t, "b")
		s.join(t, "b")
		note := filepath.Join(s.b, tlsDir, bundleTime)
		if err := os.WriteFile(note, []byte(time.Now().Format(time.RFC3339)), 0o600); err != nil { // a later bundle
			t.Fatal(err)
		}
		s.renews(t)
		if _, err := Join(old, s.b); !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), "newer") {
			t.Errorf("got %v", err)
		}
	})
}

// TestABundleThatCameLate: its certificate is good no more.
func TestABundleThatCameLate(t *testing.T) {
	s := newSite(t)
	s.join(t, "b")
	s.renews(t)
	own := key(t, s.b)
	ca, err := identity.LoadCA(filepath.Join(s.Dir, caDir))
	if err != nil {
		t.Fatal(err)
	}
	h := s.Host("b")
	spec := identity.Spec{ID: "b", Role: identity.RoleHost, Roles: vstack.RolesHost, Addrs: []string{"10.0.0.2"}, ValidFor: time.Nanosecond}
	if err := ca.Issue(filepath.Join(h.Dir, tlsDir), spec); err != nil {
		t.Fatal(err)
	}
	late := s.bundle(t, "b")
	if _, err := Join(late, s.b); err != nil || key(t, s.b) != own {
		t.Errorf("of a host that has renewed itself: %v", err)
	}
	if _, err := Join(late, filepath.Join(t.TempDir(), "new")); !errors.Is(err, identity.ErrExpired) || !strings.Contains(err.Error(), "vstack lab renew") {
		t.Errorf("of a new host: %v", err)
	}
}

// TestALifeOfCertificatesIsKept by whatever issues them after lab init.
func TestALifeOfCertificatesIsKept(t *testing.T) {
	l, err := Init(Spec{Dir: t.TempDir(), Hosts: []HostSpec{{"a", "10.0.0.1"}, {"b", "10.0.0.2"}, {"c", "10.0.0.3"}}, CertLife: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add(HostSpec{"d", "10.0.0.4"}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := l.SetAddress("b", "10.0.0.9"); err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(); err != nil {
		t.Fatal(err)
	}
	for _, h := range l.Hosts {
		seen, err := identity.Look(filepath.Join(h.Dir, tlsDir))
		if err != nil || seen.NotAfter.Sub(seen.NotBefore) != time.Hour+identity.Backdate {
			t.Errorf("host %s: from %s to %s, %v", h.ID, seen.NotBefore, seen.NotAfter, err)
		}
	}
}
