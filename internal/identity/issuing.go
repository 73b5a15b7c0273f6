package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	issuingCertFile = "issuing.crt"
	issuingKeyFile  = "issuing.key"
	// issuingUnit is in the OU of an issuing authority, whose certificates are hosts' alone.
	issuingUnit = "issuing"
	// takenFile is a certificate that is being taken: its key comes into place first.
	takenFile = certFile + ".new"

	// HostValidFor is how long the certificate of a host is good that renews itself.
	HostValidFor = 30 * 24 * time.Hour
)

// CreateIssuing makes the issuing authority of the cluster beside the authority in dir, which
// from now on hands out both certificates as trusted.
func (c *CA) CreateIssuing(dir string) error {
	cert, key, err := newAuthority("issuing CA", issuingUnit)
	if err != nil {
		return fmt.Errorf("create issuing CA: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return fmt.Errorf("create issuing CA: %w", err)
	}
	roots := []*x509.Certificate{c.cert, cert}
	for _, f := range []struct {
		name string
		data []byte
		mode fs.FileMode
	}{{issuingKeyFile, keyPEM, 0o600}, {issuingCertFile, encodeCerts(roots[1:]), 0o644}, {caCertFile, encodeCerts(roots), 0o644}} {
		if err := vfs.WriteFile(vfs.OS{}, filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return fmt.Errorf("create issuing CA: %w", err)
		}
	}
	c.roots = roots
	return nil
}

// HasIssuing reports whether a directory has the issuing authority.
func HasIssuing(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, issuingKeyFile))
	return err == nil
}

// PlaceIssuing copies it to the directory of a member.
func PlaceIssuing(from, to string) error {
	for name, mode := range map[string]fs.FileMode{issuingKeyFile: 0o600, issuingCertFile: 0o644} {
		data, err := readFile(filepath.Join(from, name))
		if err == nil {
			err = vfs.WriteFile(vfs.OS{}, filepath.Join(to, name), data, mode)
		}
		if err != nil {
			return fmt.Errorf("place issuing CA: %w", err)
		}
	}
	return nil
}

// Issuing is the issuing authority that lies beside this identity; ErrNotFound where none does.
func (i *Identity) Issuing() (*CA, error) {
	dir := filepath.Dir(i.certPath)
	ca, err := loadCA(filepath.Join(dir, issuingCertFile), filepath.Join(dir, issuingKeyFile))
	if errors.Is(err, vstack.ErrNotFound) {
		return nil, fmt.Errorf("issuing CA: %w: this member has none", vstack.ErrNotFound)
	}
	return ca, err
}

// Renew signs a host's request under the certificate in force: the same name, addresses,
// roles and lifetime, but at most HostValidFor, and a key of its own.
func (c *CA) Renew(old *x509.Certificate, request []byte, now time.Time) (*x509.Certificate, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("renew certificate of %q: %w: %v", old.Subject.CommonName, vstack.ErrInvalid, err)
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("renew certificate of %q: %w: want a key of ECDSA P-256", old.Subject.CommonName, vstack.ErrInvalid)
	}
	if !slices.Equal(old.Subject.OrganizationalUnit, []string{string(RoleHost)}) {
		return nil, fmt.Errorf("renew certificate of %q: %w: it is no host's", old.Subject.CommonName, vstack.ErrForbidden)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	life := min(old.NotAfter.Sub(old.NotBefore)-Backdate, HostValidFor)
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: old.Subject, NotBefore: now.Add(-Backdate), NotAfter: now.Add(life),
		KeyUsage: old.KeyUsage, ExtKeyUsage: old.ExtKeyUsage, BasicConstraintsValid: true,
		URIs: old.URIs, IPAddresses: old.IPAddresses, DNSNames: old.DNSNames,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.cert, key, c.key)
	if err != nil {
		return nil, fmt.Errorf("renew certificate of %q: sign: %w", old.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// RenewAt is when the certificate is to be renewed: after two thirds of its life.
func (i *Identity) RenewAt() time.Time {
	from := i.NotBefore().Add(Backdate)
	return from.Add(i.NotAfter().Sub(from) * 2 / 3)
}

// Renewal is a request for another certificate, and its key.
type Renewal struct {
	Request []byte // PKCS #10, DER
	key     crypto.Signer
}

// NewRenewal makes one; whoever signs it takes the rest from the certificate in force.
func NewRenewal() (*Renewal, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("renew certificate: generate key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("renew certificate: %w", err)
	}
	return &Renewal{Request: der, key: key}, nil
}

// Take puts the answer to a request in the place of the certificate, and uses it. A
// certificate that is not ours, or that our own roots do not trust, changes nothing.
func (i *Identity) Take(r *Renewal, der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("renewed certificate: %w: %v", vstack.ErrInvalid, err)
	}
	cas, err := readCerts(i.caPath)
	if err != nil {
		return err
	}
	now := i.current.Load()
	old := now.cert.Leaf
	switch err := checkLeaf(cert, nil, cas, now.roots, time.Now()); {
	case err != nil:
		return fmt.Errorf("renewed certificate: %w", err)
	case !samePublicKey(cert, r.key):
		return fmt.Errorf("renewed certificate: %w", ErrKeyMismatch)
	case cert.Subject.String() != old.Subject.String() || rolesOf(cert) != rolesOf(old) || !cert.NotAfter.After(old.NotAfter):
		return fmt.Errorf("renewed certificate: %w: it is for %q until %s, not for %q after %s", vstack.ErrInvalid, cert.Subject,
			cert.NotAfter.UTC().Format(time.RFC3339), old.Subject, old.NotAfter.UTC().Format(time.RFC3339))
	}
	keyPEM, err := encodeKey(r.key)
	if err != nil {
		return err
	}
	dir := filepath.Dir(i.certPath)
	i.reloading.Lock()
	err = vfs.WriteFile(vfs.OS{}, filepath.Join(dir, takenFile), encodeCerts([]*x509.Certificate{cert}), 0o644)
	if err == nil {
		err = vfs.WriteFile(vfs.OS{}, i.keyPath, keyPEM, 0o600)
	}
	if err == nil {
		err = finishTaking(dir)
	}
	i.reloading.Unlock()
	if err != nil {
		return fmt.Errorf("write renewed certificate: %w", err)
	}
	return i.Reload()
}

// finishTaking ends what Take began: a process may have ended between its two files.
func finishTaking(dir string) error {
	taken := filepath.Join(dir, takenFile)
	certs, err := readCerts(taken)
	if errors.Is(err, vstack.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	key, err := readKey(filepath.Join(dir, keyFile))
	if err != nil {
		return err
	}
	if !samePublicKey(certs[0], key) {
		return os.Remove(taken) // its key did not come to be
	}
	if err := vfs.WriteFile(vfs.OS{}, filepath.Join(dir, certFile), encodeCerts(certs), 0o644); err != nil {
		return err
	}
	return os.Remove(taken)
}
