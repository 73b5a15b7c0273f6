package superblock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// identify reads the store's identity, or makes one in a directory without
// superblocks. Superblocks without an identity are somebody's, but whose is lost.
func (s *Store) identify(files []uint32) error {
	path := filepath.Join(s.cfg.Dir, identityName)
	b, err := vfs.ReadFile(s.cfg.FS, path, 4096)
	if err == nil {
		var version format.Version
		s.id, version, err = format.DecodeIdentity(b)
		s.version.Store(uint32(version))
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
	return s.writeIdentity(format.V1)
}

// writeIdentity replaces the identity file durably.
func (s *Store) writeIdentity(v format.Version) error {
	path := filepath.Join(s.cfg.Dir, identityName)
	if err := vfs.WriteFile(s.cfg.FS, path, format.EncodeIdentity(s.id, v), 0o640); err != nil {
		return fmt.Errorf("write store identity: %w", err)
	}
	s.version.Store(uint32(v))
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
