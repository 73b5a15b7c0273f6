package browser

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// certLife is a certificate's whole life: browsers refuse one of more than 14 days.
	certLife = 13 * 24 * time.Hour
	// certEarly is how much of it lies before it was made, for viewers whose clocks are behind.
	certEarly = time.Hour
	// nextAfter is the age of the certificate in use at which the next one is made, and
	// shownAfter the next one's age from which on it is in use: pages that opened before that
	// have heard of it for a day.
	nextAfter  = 6 * 24 * time.Hour
	shownAfter = 24 * time.Hour
	// certFile lies in the host's directory, so that a restart shows the same certificate.
	certFile = "browser.pem"
	// maxCertFile bounds it: two certificates with their keys take 2 KiB.
	maxCertFile = 64 << 10
)

// Certs are a host's certificates for browsers: the one in use, and, some days later, the
// next. Nobody signs them, and integrity does not rest on them: what a store sends is hashed.
type Certs struct {
	fsys vfs.FS
	dir  string // empty keeps them in memory
	now  func() time.Time

	mu   sync.Mutex // guards list, and is held while a new one is written, once in six days
	list []cert     // the oldest first
}

// cert is one of them.
type cert struct {
	tls  tls.Certificate
	made time.Time
	hash string // SHA-256 of its DER, base64
}

// OpenCerts reads the certificates of a directory, or makes one. now tells the time; nil is
// the machine's clock.
func OpenCerts(fsys vfs.FS, dir string, now func() time.Time) (*Certs, error) {
	if now == nil {
		now = time.Now
	}
	c := &Certs{fsys: fsys, dir: dir, now: now}
	if dir != "" {
		if err := fsys.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("directory of the certificate for browsers: %w", err)
		}
		if err := c.load(); err != nil {
			return nil, err
		}
	}
	_, err := c.valid()
	return c, err
}

// TLS is the configuration of a listener: whoever comes is shown the certificate in use.
func (c *Certs) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // a page's session may outlive what its ticket stands for
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			list, err := c.valid()
			if err != nil {
				return nil, err
			}
			return &list[0].tls, nil
		},
	}
}

// Hashes are those of the certificate in use and of the next one, if there is one.
func (c *Certs) Hashes() ([]string, error) {
	list, err := c.valid()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, one := range list {
		out = append(out, one.hash)
	}
	return out, nil
}

// valid brings the list to now, the one in use first.
func (c *Certs) valid() ([]cert, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	list := c.list
	for len(list) > 0 && !now.Before(list[0].made.Add(certLife-certEarly-time.Hour)) {
		list = list[1:] // in an hour nobody would take it
	}
	for len(list) > 1 && !now.Before(list[1].made.Add(shownAfter)) {
		list = list[1:]
	}
	if n := len(list); n == 0 || n == 1 && !now.Before(list[0].made.Add(nextAfter)) {
		made, err := newCert(now)
		if err != nil {
			return nil, fmt.Errorf("make a certificate for browsers: %w", err)
		}
		next := append(append([]cert(nil), list...), made)
		if err := c.save(next); err != nil {
			if n == 0 {
				return nil, err
			}
			return list, nil // the one in use is good for days: the next call tries again
		}
		list = next
	}
	c.list = list
	return list, nil
}

func newCert(now time.Time) (cert, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // browsers take no other kind
	if err != nil {
		return cert{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return cert{}, err
	}
	from := now.Add(-certEarly).UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "V-Stack store, for browsers"},
		NotBefore: from, NotAfter: from.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return cert{}, err
	}
	return certOf(der, key)
}

func certOf(der []byte, key *ecdsa.PrivateKey) (cert, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return cert{}, err
	}
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return cert{}, errors.New("key of another certificate")
	}
	sum := sha256.Sum256(der)
	return cert{
		tls:  tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		made: leaf.NotBefore.Add(certEarly), hash: base64.StdEncoding.EncodeToString(sum[:]),
	}, nil
}

// load reads what save wrote. A file that is damaged is no loss: new certificates take its
// place, and pages that are open ask for their hashes.
func (c *Certs) load() error {
	b, err := vfs.ReadFile(c.fsys, filepath.Join(c.dir, certFile), maxCertFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("certificate for browsers: %w", err)
	}
	var list []cert
	for len(b) > 0 {
		var der, key *pem.Block
		if der, b = pem.Decode(b); der == nil {
			break
		}
		if key, b = pem.Decode(b); key == nil {
			break
		}
		private, err := x509.ParsePKCS8PrivateKey(key.Bytes)
		if err != nil {
			break
		}
		ec, ok := private.(*ecdsa.PrivateKey)
		if !ok {
			break
		}
		one, err := certOf(der.Bytes, ec)
		if err != nil {
			break
		}
		list = append(list, one)
	}
	c.list = list
	return nil
}

func (c *Certs) save(list []cert) error {
	if c.dir == "" {
		return nil
	}
	var b bytes.Buffer
	for _, one := range list {
		key, err := x509.MarshalPKCS8PrivateKey(one.tls.PrivateKey)
		if err != nil {
			return fmt.Errorf("key of the certificate for browsers: %w: %v", vstack.ErrInternal, err)
		}
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: one.tls.Certificate[0]}) // into memory
		_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	}
	return vfs.WriteFile(c.fsys, filepath.Join(c.dir, certFile), b.Bytes(), 0o600)
}
