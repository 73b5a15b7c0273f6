package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// renewing is a cluster's authorities and the identity of a member.
type renewing struct {
	ca   *CA
	dir  string // of the authorities
	host string
	id   *Identity
}

func newRenewing(t *testing.T, life time.Duration) *renewing {
	t.Helper()
	r := &renewing{dir: filepath.Join(t.TempDir(), "ca"), host: filepath.Join(t.TempDir(), "h1")}
	var err error
	if r.ca, err = CreateCA(r.dir); err != nil {
		t.Fatal(err)
	}
	if err := r.ca.CreateIssuing(r.dir); err != nil {
		t.Fatal(err)
	}
	if r.ca, err = LoadCA(r.dir); err != nil { // as a later command does
		t.Fatal(err)
	}
	if err := r.ca.Issue(r.host, Spec{ID: "h1", Role: RoleHost, Roles: vstack.RoleMeta | vstack.RoleData, Addrs: []string{"127.0.0.1", "h1.example"}, ValidFor: life}); err != nil {
		t.Fatal(err)
	}
	if err := PlaceIssuing(r.dir, r.host); err != nil {
		t.Fatal(err)
	}
	if r.id, err = Load(r.host); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *renewing) leaf() *x509.Certificate { return r.id.current.Load().cert.Leaf }

func (r *renewing) renew(t *testing.T) (*Renewal, *x509.Certificate) {
	t.Helper()
	issuing, err := r.id.Issuing()
	if err != nil {
		t.Fatal(err)
	}
	req, err := NewRenewal()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := issuing.Renew(r.leaf(), req.Request, time.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return req, cert
}

func TestARenewedCertificateIsTheSameForAnotherKey(t *testing.T) {
	r := newRenewing(t, time.Hour)
	old, oldPeer := r.leaf(), r.id.Peer()
	req, cert := r.renew(t)
	if err := r.id.Take(req, cert.Raw); err != nil {
		t.Fatal(err)
	}
	now := r.leaf()
	if r.id.Peer() != oldPeer || now.PublicKey.(*ecdsa.PublicKey).Equal(old.PublicKey) || now.SerialNumber.Cmp(old.SerialNumber) == 0 || !now.IPAddresses[0].Equal(old.IPAddresses[0]) || now.DNSNames[0] != "h1.example" {
		t.Errorf("it is for %+v, %v, %v", r.id.Peer(), now.IPAddresses, now.DNSNames)
	}
	if life := now.NotAfter.Sub(now.NotBefore) - Backdate; life != time.Hour {
		t.Errorf("it is good for %v", life)
	}
	if at := r.id.RenewAt(); at.Sub(now.NotBefore.Add(Backdate)) != 40*time.Minute {
		t.Errorf("it is to be renewed at %v of %v to %v", at, now.NotBefore, now.NotAfter)
	}
	again, err := Load(r.host)
	if err != nil || again.Peer() != oldPeer {
		t.Errorf("the next start: %v, %v", again.Peer(), err)
	}
}

func TestALongLifeIsRenewedForAMonth(t *testing.T) {
	r := newRenewing(t, 0)
	_, cert := r.renew(t)
	if life := cert.NotAfter.Sub(cert.NotBefore) - Backdate; life != HostValidFor {
		t.Errorf("it is good for %v", life)
	}
}

func TestTheIssuingKeyMakesNoAdministrator(t *testing.T) {
	r := newRenewing(t, time.Hour)
	issuing, err := r.id.Issuing()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuing.Renew(&x509.Certificate{Subject: pkix.Name{CommonName: "ann", OrganizationalUnit: []string{string(RoleAdmin)}}}, mustRequest(t), time.Now()); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("an administrator's certificate is renewed: %v", err)
	}
	// Whoever has the key can sign what they like; nobody believes it.
	dir := filepath.Join(t.TempDir(), "forged")
	if err := issuing.Issue(dir, Spec{ID: "ann", Role: RoleAdmin}); err != nil {
		t.Fatal(err)
	}
	certs, err := readCerts(filepath.Join(dir, certFile))
	if err != nil {
		t.Fatal(err)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{Roots: r.id.current.Load().roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := PeerOf(&tls.ConnectionState{VerifiedChains: chains}); ok {
		t.Errorf("it counts as %+v", p)
	}
}

func TestAForeignCertificateIsNotTaken(t *testing.T) {
	r := newRenewing(t, time.Hour)
	before := r.leaf()
	req, cert := r.renew(t)
	other, _ := NewRenewal()
	stranger := newRenewing(t, 2*time.Hour)
	_, foreign := stranger.renew(t)
	for name, tc := range map[string]struct {
		req *Renewal
		der []byte
	}{
		"another key":        {other, cert.Raw},
		"another authority":  {req, foreign.Raw},
		"no certificate":     {req, []byte("x")},
		"the one that it is": {req, before.Raw},
	} {
		if err := r.id.Take(tc.req, tc.der); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if r.leaf() != before {
		t.Error("something has changed")
	}
}

func TestAProcessThatEndsWhileItTakesACertificateStartsAgain(t *testing.T) {
	for name, after := range map[string]func(t *testing.T, r *renewing, req *Renewal){
		"before the key": func(*testing.T, *renewing, *Renewal) {},
		"behind the key": func(t *testing.T, r *renewing, req *Renewal) {
			keyPEM, err := encodeKey(req.key)
			if err == nil {
				err = os.WriteFile(filepath.Join(r.host, keyFile), keyPEM, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRenewing(t, time.Hour)
			req, cert := r.renew(t)
			if err := os.WriteFile(filepath.Join(r.host, takenFile), encodeCerts([]*x509.Certificate{cert}), 0o644); err != nil {
				t.Fatal(err)
			}
			after(t, r, req)
			if _, err := Load(r.host); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(r.host, takenFile)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s stays", takenFile)
			}
		})
	}
}

func mustRequest(t *testing.T) []byte {
	t.Helper()
	r, err := NewRenewal()
	if err != nil {
		t.Fatal(err)
	}
	return r.Request
}

func TestARequestThatIsNoneIsRefused(t *testing.T) {
	r := newRenewing(t, time.Hour)
	issuing, err := r.id.Issuing()
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 300)
	_, _ = rand.Read(noise)
	if _, err := issuing.Renew(r.leaf(), noise, time.Now()); !errors.Is(err, vstack.ErrInvalid) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(r.host, issuingKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.id.Issuing(); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("a member without the key: %v", err)
	}
}
