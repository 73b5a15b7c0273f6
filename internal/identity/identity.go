package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Identity is what a process proves itself with and whom it trusts. It is safe for
// concurrent use.
type Identity struct {
	caPath   string
	certPath string // empty for a reader
	keyPath  string

	reloading sync.Mutex // one Reload at a time
	current   atomic.Pointer[material]
	onReload  func(error) // set before Run
	revoked   revoked
}

// material is one consistent reading of the files; it never changes.
type material struct {
	roots    *x509.CertPool
	cert     *tls.Certificate // nil for a reader
	peer     Peer
	resetKey [32]byte
}

// Load reads the identity of a host or an administrator from dir. Besides the file
// system's errors it answers ErrExpired, ErrWrongCA, ErrKeyMismatch and ErrKeyExposed.
func Load(dir string) (*Identity, error) {
	i := &Identity{
		caPath:   filepath.Join(dir, caCertFile),
		certPath: filepath.Join(dir, certFile),
		keyPath:  filepath.Join(dir, keyFile),
	}
	if err := finishTaking(dir); err != nil {
		return nil, fmt.Errorf("load identity: %w", err)
	}
	return i, i.Reload()
}

// LoadRoots reads the identity of a reader: the CA to trust, and no certificate.
func LoadRoots(caFile string) (*Identity, error) {
	i := &Identity{caPath: caFile}
	return i, i.Reload()
}

// Reload reads the files again. Later handshakes use them; connections that exist
// live on. On an error nothing changes.
func (i *Identity) Reload() error {
	i.reloading.Lock()
	defer i.reloading.Unlock()
	m, err := i.read(time.Now())
	if err != nil {
		return fmt.Errorf("load identity: %w", err)
	}
	if old := i.current.Load(); old != nil && i.certPath == "" {
		m.resetKey = old.resetKey
	}
	i.current.Store(m)
	return nil
}

// Peer returns who this process is; the zero Peer for a reader.
func (i *Identity) Peer() Peer { return i.current.Load().peer }

// NotAfter returns when the certificate expires; the zero time for a reader.
func (i *Identity) NotAfter() time.Time {
	if c := i.current.Load().cert; c != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}

// NotBefore returns from when on the certificate is good; the zero time for a reader.
func (i *Identity) NotBefore() time.Time {
	if c := i.current.Load().cert; c != nil {
		return c.Leaf.NotBefore
	}
	return time.Time{}
}

// ResetKey returns a secret that lives as long as the private key does, for
// quic.StatelessResetKey: a host that was restarted can so end the connections of its
// former life at once. A reader's is random.
func (i *Identity) ResetKey() [32]byte { return i.current.Load().resetKey }

// SPKIHash returns the base64 SHA-256 of the leaf's public key, as Chromium's
// --ignore-certificate-errors-spki-list takes it; empty for a reader.
func (i *Identity) SPKIHash() string {
	c := i.current.Load().cert
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (i *Identity) read(now time.Time) (*material, error) {
	cas, err := readCerts(i.caPath)
	if err != nil {
		return nil, err
	}
	m := &material{roots: x509.NewCertPool()}
	for _, c := range cas {
		if !c.IsCA {
			return nil, fmt.Errorf("%s: %w: %q is not an authority", i.caPath, vstack.ErrInvalid, c.Subject.CommonName)
		}
		m.roots.AddCert(c)
	}
	if i.certPath == "" {
		if _, err := rand.Read(m.resetKey[:]); err != nil {
			return nil, fmt.Errorf("generate reset key: %w", err)
		}
		return m, nil
	}
	chain, err := readCerts(i.certPath)
	if err != nil {
		return nil, err
	}
	key, err := readKey(i.keyPath)
	if err != nil {
		return nil, err
	}
	leaf := chain[0]
	if !samePublicKey(leaf, key) {
		return nil, fmt.Errorf("%s and %s: %w", i.certPath, i.keyPath, ErrKeyMismatch)
	}
	if err := checkLeaf(leaf, chain[1:], cas, m.roots, now); err != nil {
		return nil, fmt.Errorf("%s: %w", i.certPath, err)
	}
	m.cert = &tls.Certificate{PrivateKey: key, Leaf: leaf}
	for _, c := range chain {
		m.cert.Certificate = append(m.cert.Certificate, c.Raw)
	}
	m.peer, _ = PeerOf(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{chain}})
	if m.peer == (Peer{}) {
		return nil, fmt.Errorf("%s: %w: subject %q names no id (CN) and role (OU)", i.certPath, vstack.ErrInvalid, leaf.Subject)
	}
	return m, m.deriveResetKey(key)
}

func (m *material) deriveResetKey(key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("derive reset key: %w", err)
	}
	b, err := hkdf.Key(sha256.New, der, nil, "vstack quic stateless reset", len(m.resetKey))
	if err != nil {
		return fmt.Errorf("derive reset key: %w", err)
	}
	copy(m.resetKey[:], b)
	return nil
}

// checkLeaf finds what a handshake would, before the first peer does.
func checkLeaf(leaf *x509.Certificate, rest, cas []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	if err := checkValidity(leaf, now); err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, c := range rest {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		return nil
	}
	for _, c := range cas {
		if leaf.CheckSignatureFrom(c) == nil {
			if verr := checkValidity(c, now); verr != nil {
				return fmt.Errorf("its CA %q: %w", c.Subject.CommonName, verr)
			}
			return fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
		}
	}
	return fmt.Errorf("%w: issuer %q, trusted %q", ErrWrongCA, leaf.Issuer.CommonName, cas[0].Subject.CommonName)
}

func checkValidity(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: valid from %s to %s, now %s", ErrExpired,
			c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

func samePublicKey(c *x509.Certificate, key crypto.Signer) bool {
	switch pub := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return pub.Equal(key.Public())
	case ed25519.PublicKey:
		return pub.Equal(key.Public())
	case *rsa.PublicKey:
		return pub.Equal(key.Public())
	}
	return false
}
