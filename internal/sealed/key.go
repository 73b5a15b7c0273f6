package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// KeyLen is the length of a data key in bytes.
	KeyLen = 32
	saltAt = 8
	// headLen is that of a note's or a stream's magic and random bytes.
	headLen = saltAt + saltLen
	saltLen = 32
	tagLen  = 16
)

type salt [saltLen]byte

// Key is the data key of a directory. It does not print its secret.
type Key struct{ secret [KeyLen]byte }

// NewKey takes a secret that is kept elsewhere.
func NewKey(secret [KeyLen]byte) *Key { return &Key{secret} }

// Passing draws a key for what does not outlive this process.
func Passing() *Key {
	k := &Key{}
	rand.Read(k.secret[:]) // it never fails
	return k
}

// String keeps the secret out of logs.
func (k *Key) String() string { return "data key" }

// GoString does, too.
func (k *Key) GoString() string { return k.String() }

// Derive makes n bytes of key that stand for the random bytes given and for a use.
func (k *Key) Derive(random []byte, use string, n int) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, k.secret[:], random, "vstack sealed "+use, n)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a %s: %w", use, err)
	}
	return key, nil
}

// gcm is the cipher of a note or a stream.
func (k *Key) gcm(s salt, use string) (cipher.AEAD, error) {
	key, err := k.Derive(s[:], use, KeyLen)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher of a %s: %w", use, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("cipher of a %s: %w", use, err)
	}
	return aead, nil
}

func draw() (s salt) {
	rand.Read(s[:]) // it never fails
	return s
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", vstack.ErrCorrupt, fmt.Sprintf(format, args...))
}
