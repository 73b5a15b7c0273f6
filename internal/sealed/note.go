package sealed

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/vstack/vstack/internal/vfs"
)

const (
	noteMagic = "VSTKNOT\x01"
	numberLen = 8
	// Overhead is by how much a note is longer than what it says.
	Overhead = headLen + numberLen + tagLen
	// maxRead bounds the ciphers that are kept for reads: there is one for each time that the
	// directory was opened and something of then is left.
	maxRead = 64
)

// Box seals and opens the notes of one directory. Its methods may be called concurrently.
type Box struct {
	key    *Key
	random salt
	aead   cipher.AEAD
	sealed atomic.Uint64

	mu   sync.Mutex
	read map[salt]cipher.AEAD
}

// NewBox begins with random bytes of its own.
func NewBox(key *Key) (*Box, error) {
	b := &Box{key: key, random: draw(), read: map[salt]cipher.AEAD{}}
	var err error
	b.aead, err = key.gcm(b.random, "note")
	return b, err
}

type nonce [12]byte

// Seal makes a note. about says what it is, and has to be said again when it is opened.
func (b *Box) Seal(plain, about []byte) []byte {
	out := make([]byte, 0, Overhead+len(plain))
	out = append(append(out, noteMagic...), b.random[:]...)
	var n nonce
	binary.LittleEndian.PutUint64(n[:], b.sealed.Add(1))
	out = append(out, n[:numberLen]...)
	return b.aead.Seal(out, n[:], plain, about)
}

// Open reads a note.
func (b *Box) Open(note, about []byte) ([]byte, error) {
	if len(note) < Overhead {
		return nil, corrupt("a note of %d bytes, at least %d", len(note), Overhead)
	}
	if string(note[:saltAt]) != noteMagic {
		return nil, corrupt("it begins with %q, and no note", note[:saltAt])
	}
	aead, err := b.cipher(salt(note[saltAt:headLen]))
	if err != nil {
		return nil, err
	}
	var n nonce
	copy(n[:], note[headLen:headLen+numberLen])
	plain, err := aead.Open(nil, n[:], note[headLen+numberLen:], about)
	if err != nil {
		return nil, corrupt("the tag of a note is not right")
	}
	return plain, nil
}

// cipher is that of the box which sealed a note.
func (b *Box) cipher(s salt) (cipher.AEAD, error) {
	if s == b.random {
		return b.aead, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if aead := b.read[s]; aead != nil {
		return aead, nil
	}
	aead, err := b.key.gcm(s, "note")
	if err != nil {
		return nil, err
	}
	if len(b.read) >= maxRead {
		clear(b.read) // one takes microseconds to make
	}
	b.read[s] = aead
	return aead, nil
}

// WriteFile is vfs.WriteFile of a note. Without a box the file is plain.
func (b *Box) WriteFile(fsys vfs.FS, name string, data, about []byte, perm fs.FileMode) error {
	if b != nil {
		data = b.Seal(data, about)
	}
	return vfs.WriteFile(fsys, name, data, perm)
}

// ReadFile is vfs.ReadFile of a note. Without a box the file is plain.
func (b *Box) ReadFile(fsys vfs.FS, name string, about []byte, limit int64) ([]byte, error) {
	if b == nil {
		return vfs.ReadFile(fsys, name, limit)
	}
	note, err := vfs.ReadFile(fsys, name, limit+Overhead)
	if err != nil {
		return nil, err
	}
	plain, err := b.Open(note, about)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain, nil
}
