package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/vstack/vstack/datanode/superblock/format"
)

// KeyLen is the length of a data key in bytes.
const KeyLen = 32

// Key is a data key. Whoever prints it prints its generation alone.
type Key struct {
	Generation uint32 // from 1
	Secret     [KeyLen]byte
}

// NewKey draws a store's first data key.
func NewKey(rand io.Reader) (k Key, err error) {
	k.Generation = 1
	if _, err := io.ReadFull(rand, k.Secret[:]); err != nil {
		return Key{}, fmt.Errorf("draw data key: %w", err)
	}
	return k, nil
}

// String keeps the secret out of logs.
func (k Key) String() string { return fmt.Sprintf("data key, generation %d", k.Generation) }

// GoString does, too.
func (k Key) GoString() string { return k.String() }

// Box seals and opens with one data key. Its methods may be called concurrently.
type Box struct {
	key Key
	now atomic.Pointer[stretch]

	mu   sync.Mutex
	read map[format.Stretch]cipher.AEAD // at most maxRead
}

// maxRead bounds the ciphers that are kept for reads, of about 1 KiB each: a stretch is a
// file's, or what is left of one that was compacted.
const maxRead = 512

// stretch is one of them, as long as it is sealed in.
type stretch struct {
	begins format.Stretch
	aead   cipher.AEAD
	sealed atomic.Uint64 // records
}

// NewBox makes a box that opens, and seals from the first Begin on.
func NewBox(key Key) *Box { return &Box{key: key, read: map[format.Stretch]cipher.AEAD{}} }

// Generation is the data key's.
func (b *Box) Generation() uint32 { return b.key.Generation }

// Begin draws a new stretch: a file is opened for append. What is being sealed in the stretch
// before may still go to the file; its nonces are its own.
func (b *Box) Begin(rand io.Reader) error {
	s := &stretch{}
	if _, err := io.ReadFull(rand, s.begins[:]); err != nil {
		return fmt.Errorf("begin a stretch of sealed records: %w", err)
	}
	var err error
	if s.aead, err = b.derive(s.begins); err != nil {
		return err
	}
	b.now.Store(s)
	return nil
}

// cipher is that of a stretch which is read.
func (b *Box) cipher(s format.Stretch) (cipher.AEAD, error) {
	b.mu.Lock()
	aead := b.read[s]
	b.mu.Unlock()
	if aead != nil {
		return aead, nil
	}
	aead, err := b.derive(s)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.read) >= maxRead {
		clear(b.read) // a cipher takes microseconds to make
	}
	b.read[s] = aead
	return aead, nil
}

// derive makes a stretch's cipher.
func (b *Box) derive(s format.Stretch) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, b.key.Secret[:], s[:], "vstack superblock stretch", KeyLen)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a stretch: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cipher of a stretch: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("cipher of a stretch: %w", err)
	}
	return aead, nil
}
