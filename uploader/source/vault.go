package source

import (
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// Suffix is behind the name of an encrypted file, in that of the file beside it.
	Suffix    = ".key"
	magic     = "VSTKSRC\x01"
	randomLen = 32
	besideLen = len(magic) + randomLen + 4
)

// Vault makes and opens the files of a spool. The zero value knows plain ones alone.
type Vault struct{ Key *sealed.Key }

// Secret is what one file is encrypted with; nil for a plain one.
type Secret struct{ key, iv [aes.BlockSize]byte }

// Args are FFmpeg's, before its input.
func (s *Secret) Args() []string {
	return []string{"-decryption_key", hex.EncodeToString(s.key[:]), "-decryption_iv", hex.EncodeToString(s.iv[:])}
}

// Input is how FFmpeg is told to read the file at an absolute path, and by which of its protocols.
func (v Vault) Input(abs string) (protocols string, args []string, err error) {
	secret, err := v.Secret(abs)
	if secret == nil || err != nil {
		return "file,pipe", []string{"-i", "file:" + abs}, err
	}
	return "file,pipe,crypto", append(secret.Args(), "-i", "crypto:file:"+abs), nil
}

// String keeps the secret out of logs.
func (s *Secret) String() string { return "key of an uploaded file" }

// GoString does, too.
func (s *Secret) GoString() string { return s.String() }

// make draws the secret of a new file, and keeps durably what it is made of.
func (v Vault) make(path string) (*Secret, error) {
	if v.Key == nil {
		return nil, nil
	}
	b := make([]byte, besideLen)
	copy(b, magic)
	rand.Read(b[len(magic) : len(magic)+randomLen]) // it never fails
	binary.LittleEndian.PutUint32(b[besideLen-4:], crc(b[:besideLen-4]))
	if err := vfs.WriteFile(vfs.OS{}, path+Suffix, b, 0o600); err != nil {
		return nil, err
	}
	return v.derive(b)
}

func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// Secret is that of a file; nil if it is plain.
func (v Vault) Secret(path string) (*Secret, error) {
	b, err := vfs.ReadFile(vfs.OS{}, path+Suffix, int64(besideLen))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := v.derive(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path+Suffix, err)
	}
	return s, nil
}

// derive reads a file that lies beside another.
func (v Vault) derive(b []byte) (*Secret, error) {
	if len(b) != besideLen || string(b[:len(magic)]) != magic || binary.LittleEndian.Uint32(b[besideLen-4:]) != crc(b[:besideLen-4]) {
		return nil, fmt.Errorf("%w: it is damaged, or of another version", vstack.ErrCorrupt)
	}
	if v.Key == nil {
		return nil, fmt.Errorf("the file is encrypted: %w", vstack.ErrKeyMissing)
	}
	k, err := v.Key.Derive(b[len(magic):len(magic)+randomLen], "uploaded file", 2*aes.BlockSize)
	if err != nil {
		return nil, err
	}
	return &Secret{[aes.BlockSize]byte(k), [aes.BlockSize]byte(k[aes.BlockSize:])}, nil
}
