package superblock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// encodeIdentity is the content of the file STORE.
func encodeIdentity(id vstack.StoreID) []byte {
	b := make([]byte, identityLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], identityMagic)
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:32], id[:])
	le.PutUint32(b[60:], crc(b[:60]))
	return b
}

func decodeIdentity(b []byte) (id vstack.StoreID, err error) {
	le := binary.LittleEndian
	if len(b) != identityLen || le.Uint64(b) != identityMagic || le.Uint32(b[60:]) != crc(b[:60]) {
		return id, fmt.Errorf("store identity: %w: %d bytes, magic or CRC: %w", errFormat, len(b), vstack.ErrCorrupt)
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return id, fmt.Errorf("store identity: format version %d, this program reads %d: %w", v, formatVersion, errors.ErrUnsupported)
	}
	copy(id[:], b[16:32])
	if id.IsZero() {
		return id, fmt.Errorf("store identity: %w: zero UUID: %w", errFormat, vstack.ErrCorrupt)
	}
	return id, nil
}

// identify reads the store's identity, or makes one in a directory without
// superblocks. Superblocks without an identity are somebody's, but whose is lost.
func (s *Store) identify(files []uint32) error {
	path := filepath.Join(s.cfg.Dir, identityName)
	b, err := vfs.ReadFile(s.cfg.FS, path, 4096)
	if err == nil {
		s.id, err = decodeIdentity(b)
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(files) > 0 {
		return fmt.Errorf("%d superblocks but no file %s: %w", len(files), identityName, vstack.ErrCorrupt)
	}
	id, err := uuid.NewRandomFromReader(s.cfg.Rand)
	if err != nil {
		return fmt.Errorf("make a store id: %w", err)
	}
	s.id = vstack.StoreID(id)
	if err := vfs.WriteFile(s.cfg.FS, path, encodeIdentity(s.id), 0o640); err != nil {
		return fmt.Errorf("write store identity: %w", err)
	}
	return nil
}

// random64 is a salt: no bytes of an upload can imitate a record of a file, since
// nobody outside knows it.
func (s *Store) random64() (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(s.cfg.Rand, b[:]); err != nil {
		return 0, fmt.Errorf("read random bytes: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
