package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
)

func TestAClientBundleIsJudged(t *testing.T) {
	_, l := host(t)
	ca, err := identity.LoadCA(filepath.Join(l.Dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(l.Client, "tls.key")
	issue := func(t *testing.T, validFor time.Duration) {
		t.Helper()
		if err := ca.Issue(l.Client, identity.Spec{ID: "admin", Role: identity.RoleAdmin, ValidFor: validFor}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		make  func(*testing.T)
		state State
		said  string
		fix   string
	}{
		{"a fresh one", func(t *testing.T) { issue(t, 0) }, OK, "admin admin, valid until", ""},
		{"near its end", func(t *testing.T) { issue(t, 5*24*time.Hour) }, Warn, "expires in 4 days", "vstack lab renew"},
		{"beyond it", func(t *testing.T) { issue(t, time.Nanosecond) }, Fail, "outside its validity", "vstack lab renew"},
		{"a key for all to read", func(t *testing.T) {
			issue(t, 0)
			if err := os.Chmod(key, 0o644); err != nil {
				t.Fatal(err)
			}
		}, Fail, "readable by others", "chmod 600 " + key},
		{"a reader's", func(t *testing.T) {
			if err := os.Remove(filepath.Join(l.Client, "tls.crt")); err != nil {
				t.Fatal(err)
			}
		}, OK, "reads only", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.make(t)
			f := Client(l.Client)[0]
			if f.State != tc.state || !strings.Contains(f.Detail, tc.said) || !strings.Contains(f.Fix, tc.fix) || tc.fix == "" && f.Fix != "" {
				t.Errorf("%+v", f)
			}
		})
	}
}

// TestAKeyOfAnotherAccountIsFound: what root unpacked is no host's to read.
func TestAKeyOfAnotherAccountIsFound(t *testing.T) {
	h, l := host(t)
	if f := owners(h); f.State != OK {
		t.Errorf("all of one account: %+v", f)
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give files to another account")
	}
	if err := os.Chown(filepath.Join(h.TLS, "tls.key"), 12345, -1); err != nil {
		t.Fatal(err)
	}
	f := owners(h)
	if f.State != Fail || !strings.Contains(f.Detail, "tls.key is user 12345's") || f.Fix != "sudo chown -R root: "+l.Hosts[0].Dir {
		t.Errorf("%+v", f)
	}
}

func TestOnlyHostsOfThisMachineAreTestedHere(t *testing.T) {
	h, _ := host(t)
	if !Here(h) {
		t.Error("a loopback host is elsewhere")
	}
	h.Ingest.Addr = "192.0.2.7:8084" // an address that is nobody's
	if Here(h) {
		t.Error("a host at an address that this machine does not have is here")
	}
}
