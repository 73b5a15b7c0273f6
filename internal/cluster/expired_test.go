package cluster

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
)

// TestAnExpiredCertificateOfOnesOwnIsSaid: no call fails for a reason that nobody understands.
func TestAnExpiredCertificateOfOnesOwnIsSaid(t *testing.T) {
	dir := t.TempDir()
	ca, err := identity.CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	client := filepath.Join(dir, "client")
	if err := ca.Issue(client, identity.Spec{ID: "admin", Role: identity.RoleAdmin, ValidFor: time.Nanosecond}); err != nil {
		t.Fatal(err)
	}
	_, err = Open(&config.Client{Metastores: []string{"127.0.0.1:1"}, TLS: client}, nil)
	if !errors.Is(err, identity.ErrExpired) || !strings.Contains(err.Error(), "valid from") {
		t.Errorf("%v", err)
	}
}
