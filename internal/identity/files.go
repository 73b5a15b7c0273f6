package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/vstack/vstack/internal/vstack"
)

// Names of the files in an identity's and in a CA's directory.
const (
	caCertFile = "ca.crt"
	caKeyFile  = "ca.key"
	certFile   = "tls.crt"
	keyFile    = "tls.key"
)

// maxPEM bounds what is read of any one file.
const maxPEM = 1 << 20

const (
	blockCert = "CERTIFICATE"
	blockKey  = "PRIVATE KEY"
)

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w (%w): make it with `vstack lab init`", vstack.ErrNotFound, err)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case info.Size() > maxPEM:
		return nil, fmt.Errorf("read %s: %w: %d bytes, at most %d", path, vstack.ErrTooLarge, info.Size(), maxPEM)
	}
	return os.ReadFile(path)
}

// readCerts reads every certificate of a PEM file; there is at least one.
func readCerts(path string) ([]*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != blockCert {
			return nil, fmt.Errorf("read %s: %w: PEM block %q, want %q", path, vstack.ErrInvalid, block.Type, blockCert)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w: %v", path, vstack.ErrInvalid, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("read %s: %w: no PEM certificate in it", path, vstack.ErrInvalid)
	}
	return certs, nil
}

// readKey reads a private key that only its owner may read. Read access for the
// file's group is let through, because container platforms hand out secrets so.
func readKey(path string) (crypto.Signer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("read %s: %w: mode %04o, mend it with chmod 600", path, ErrKeyExposed, mode)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != blockKey {
		return nil, fmt.Errorf("read %s: %w: no PEM block %q in it", path, vstack.ErrInvalid, blockKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %v", path, vstack.ErrInvalid, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("read %s: %w: a %T cannot sign", path, vstack.ErrInvalid, key)
	}
	return signer, nil
}

func encodeCerts(certs []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: c.Raw}))
	}
	return b.Bytes()
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), nil
}
