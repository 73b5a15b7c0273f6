package stamp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// File is the name of the identity file.
const File = "STORE"

// Keys keeps the data keys of stores, each in its store's directory and wrapped by something
// that is not there.
type Keys interface {
	// Make draws a store's data key, keeps it durably, and returns it. What may be there is of
	// a store that never was.
	Make(fsys vfs.FS, dir string, id vstack.StoreID, rand io.Reader) (seal.Key, error)
	// Open is the key that Make made; ErrKeyMissing if it cannot be had.
	Open(fsys vfs.FS, dir string, id vstack.StoreID) (seal.Key, error)
}

// Stamp is one store's.
type Stamp struct {
	ID      vstack.StoreID
	Version format.Version
	Box     *seal.Box // nil for a store that is not encrypted
}

// Place is where a store is, and what it is given.
type Place struct {
	FS   vfs.FS
	Dir  string
	Rand io.Reader
	Keys Keys // nil: encrypted stores are not opened
}

// Open reads the store's stamp, or makes one in a directory without superblocks, of which
// there are files. Superblocks without a stamp are somebody's, but whose is lost.
func (p Place) Open(files int, encrypt bool) (s Stamp, err error) {
	b, err := vfs.ReadFile(p.FS, filepath.Join(p.Dir, File), 4096)
	switch {
	case err == nil:
		if s.ID, s.Version, err = format.DecodeIdentity(b); err == nil && s.Version > format.NewestPlain {
			s.Box, err = p.unlock(s.ID)
		}
		return s, err
	case !errors.Is(err, fs.ErrNotExist):
		return s, err
	case files > 0:
		return s, fmt.Errorf("%d superblocks but no file %s: %w", files, File, vstack.ErrCorrupt)
	}
	id, err := uuid.NewRandomFromReader(p.Rand)
	if err != nil {
		return s, fmt.Errorf("make a store id: %w", err)
	}
	s.ID, s.Version = vstack.StoreID(id), format.V1
	if encrypt {
		s.Version = format.V4
		if s.Box, err = p.Make(s.ID); err != nil {
			return s, err
		}
	}
	return s, p.Write(s.ID, s.Version)
}

// unlock opens the store's data key.
func (p Place) unlock(id vstack.StoreID) (*seal.Box, error) {
	if p.Keys == nil {
		return nil, fmt.Errorf("the store is encrypted, and nothing says what its key is wrapped with: %w", vstack.ErrKeyMissing)
	}
	key, err := p.Keys.Open(p.FS, p.Dir, id)
	if err != nil {
		return nil, fmt.Errorf("the store is encrypted: %w", err)
	}
	return seal.NewBox(key), nil
}

// Make makes a data key for a store that has none.
func (p Place) Make(id vstack.StoreID) (*seal.Box, error) {
	if p.Keys == nil {
		return nil, fmt.Errorf("encrypt store: %w: nothing says what its key is to be wrapped with", vstack.ErrInvalid)
	}
	key, err := p.Keys.Make(p.FS, p.Dir, id, p.Rand)
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	return seal.NewBox(key), nil
}

// Write replaces the identity file durably.
func (p Place) Write(id vstack.StoreID, v format.Version) error {
	if err := vfs.WriteFile(p.FS, filepath.Join(p.Dir, File), format.EncodeIdentity(id, v), 0o640); err != nil {
		return fmt.Errorf("write store identity: %w", err)
	}
	return nil
}
