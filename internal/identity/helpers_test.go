package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vfs"
)

type cryptoSigner = crypto.Signer

func readBytes(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	if err := vfs.WriteFile(vfs.OS{}, to, readBytes(t, from), mode); err != nil {
		t.Fatal(err)
	}
}

func readRoots(t *testing.T, caDir string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(readBytes(t, filepath.Join(caDir, "ca.crt"))) {
		t.Fatal("no certificate in ca.crt")
	}
	return pool
}

// expiredCert signs a client certificate that ended a minute ago.
func expiredCert(t *testing.T, ca *CA, id string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := ca.template(hostSpec(id), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	tmpl.NotAfter = time.Now().Add(-time.Minute)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
