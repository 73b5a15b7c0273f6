package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	caValidFor   = 10 * 365 * 24 * time.Hour
	leafValidFor = 2 * 365 * 24 * time.Hour
)

// CA is the cluster's certificate authority.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	// roots are what those to whom it issues are to trust: its own, and others beside it.
	roots []*x509.Certificate
}

// Spec says what certificate to issue.
type Spec struct {
	ID       string        // CN: the host's or the administrator's name
	Role     Role          // OU
	Roles    vstack.Roles  // what a host may do; none: what hosts could before there were roles
	Addrs    []string      // IP addresses and DNS names that a host is dialled by; may be empty for an admin
	ValidFor time.Duration // default two years
}

// CreateCA makes a new authority in dir as ca.crt and ca.key (mode 0600). It answers
// ErrAlreadyExists rather than replace one: that would cut every host off.
func CreateCA(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	for _, name := range []string{caCertFile, caKeyFile} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("create CA: %s: %w", path, vstack.ErrAlreadyExists)
		}
	}
	cert, key, err := newAuthority("cluster CA", "")
	if err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	// The key goes first: a certificate whose key was lost would look like a whole CA.
	if err := vfs.WriteFile(vfs.OS{}, filepath.Join(dir, caKeyFile), keyPEM, 0o600); err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	if err := vfs.WriteFile(vfs.OS{}, filepath.Join(dir, caCertFile), encodeCerts([]*x509.Certificate{cert}), 0o644); err != nil {
		return nil, fmt.Errorf("create CA: %w", err)
	}
	return &CA{cert: cert, key: key, roots: []*x509.Certificate{cert}}, nil
}

// newAuthority makes a root of a kind.
func newAuthority(kind, unit string) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		// The serial in the name keeps two clusters' authorities apart in error texts.
		Subject:               pkix.Name{Organization: []string{"V-Stack"}, CommonName: fmt.Sprintf("V-Stack %s %08x", kind, serial.Uint64()>>32)},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(caValidFor),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if unit != "" {
		tmpl.Subject.OrganizationalUnit = []string{unit}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// LoadCA reads the authority that CreateCA left in dir.
func LoadCA(dir string) (*CA, error) {
	return loadCA(filepath.Join(dir, caCertFile), filepath.Join(dir, caKeyFile))
}

func loadCA(certPath, keyPath string) (*CA, error) {
	certs, err := readCerts(certPath)
	if err != nil {
		return nil, fmt.Errorf("load CA: %w", err)
	}
	key, err := readKey(keyPath)
	if err != nil {
		return nil, fmt.Errorf("load CA: %w", err)
	}
	cert := certs[0]
	switch {
	case !cert.IsCA:
		return nil, fmt.Errorf("load CA: %s: %w: not an authority's certificate", certPath, vstack.ErrInvalid)
	case !samePublicKey(cert, key):
		return nil, fmt.Errorf("load CA: %s: %w", keyPath, ErrKeyMismatch)
	}
	if err := checkValidity(cert, time.Now()); err != nil {
		return nil, fmt.Errorf("load CA: %s: %w", certPath, err)
	}
	return &CA{cert: cert, key: key, roots: certs}, nil
}

// Issue makes a key and a certificate as spec says and writes ca.crt, tls.crt and
// tls.key (mode 0600) into dir. It replaces what is there: that is how a certificate
// is renewed under a running host.
func (c *CA) Issue(dir string, spec Spec) error {
	tmpl, err := c.template(spec, time.Now())
	if err != nil {
		return fmt.Errorf("issue certificate for %q: %w", spec.ID, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("issue certificate for %q: generate key: %w", spec.ID, err)
	}
	if err := c.write(dir, tmpl, key); err != nil {
		return fmt.Errorf("issue certificate for %q: %w", spec.ID, err)
	}
	return nil
}

func (c *CA) write(dir string, tmpl *x509.Certificate, key crypto.Signer) error {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.cert, key.Public(), c.key)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
		mode fs.FileMode
	}{
		{caCertFile, encodeCerts(c.roots), 0o644},
		{keyFile, keyPEM, 0o600},
		{certFile, encodeCerts([]*x509.Certificate{leaf}), 0o644},
	}
	for _, f := range files {
		if err := vfs.WriteFile(vfs.OS{}, filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (c *CA) template(spec Spec, now time.Time) (*x509.Certificate, error) {
	if spec.ID == "" || len(spec.ID) > 64 {
		return nil, fmt.Errorf("%w: id is %d characters long, want 1 to 64", vstack.ErrInvalid, len(spec.ID))
	}
	if !spec.Role.valid() {
		return nil, fmt.Errorf("%w: role %q, want %q or %q", vstack.ErrInvalid, spec.Role, RoleHost, RoleAdmin)
	}
	if spec.Role == RoleHost && len(spec.Addrs) == 0 {
		return nil, fmt.Errorf("%w: a host needs at least one address", vstack.ErrInvalid)
	}
	if spec.Roles&^vstack.RolesHost != 0 || spec.Role != RoleHost && spec.Roles != 0 {
		return nil, fmt.Errorf("%w: roles %q for a certificate with role %q", vstack.ErrInvalid, spec.Roles, spec.Role)
	}
	if spec.ValidFor < 0 {
		return nil, fmt.Errorf("%w: validity of %v", vstack.ErrInvalid, spec.ValidFor)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	validFor := spec.ValidFor
	if validFor == 0 {
		validFor = leafValidFor
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject: pkix.Name{
			Organization:       []string{"V-Stack"},
			OrganizationalUnit: []string{string(spec.Role)},
			CommonName:         spec.ID,
		},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(validFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  roleURIs(spec.Roles),
	}
	if spec.Role == RoleHost {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, a := range spec.Addrs {
		if ip := net.ParseIP(a); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else if validDNSName(a) {
			tmpl.DNSNames = append(tmpl.DNSNames, a)
		} else {
			return nil, fmt.Errorf("%w: address %q is neither an IP address nor a DNS name (no port)", vstack.ErrInvalid, a)
		}
	}
	return tmpl, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("generate serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

func validDNSName(s string) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '*' {
			return false
		}
	}
	return true
}
