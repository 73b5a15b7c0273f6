package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// SaveFile makes a new file of the backup that fetch writes, encrypted for recipients if there
// are any. The file is there, durably, only once it was read back and all its checksums hold.
func SaveFile(path string, to []age.Recipient, fetch func(io.Writer) error) (Info, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("save backup %s: %w", path, errors.Join(vstack.ErrAlreadyExists, err))
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".backup-*")
	if err != nil {
		return Info{}, fmt.Errorf("save backup: %w", err)
	}
	defer os.Remove(f.Name()) // renamed by then, or of no use
	ids, err := encrypted(f, to, fetch)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return Info{}, fmt.Errorf("save backup %s: %w", path, err)
	}
	info, err := InspectFile(f.Name(), ids)
	if err != nil {
		return info, fmt.Errorf("save backup %s: what was received: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return info, fmt.Errorf("save backup: %w", err)
	}
	if err := (vfs.OS{}).SyncDir(dir); err != nil {
		return info, fmt.Errorf("save backup %s: %w", path, err)
	}
	return info, nil
}

// InspectFile is Inspect of a file, which the identities open if it is encrypted.
func InspectFile(path string, ids []age.Identity) (Info, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, fmt.Errorf("read backup: %w: %w", vstack.ErrNotFound, err)
	}
	if err != nil {
		return Info{}, fmt.Errorf("read backup: %w", err)
	}
	defer f.Close()
	in, err := Decrypt(f, ids)
	if err != nil {
		return Info{}, fmt.Errorf("%s: %w", path, err)
	}
	info, err := Inspect(in)
	if err != nil {
		return info, fmt.Errorf("%s: %w", path, err)
	}
	return info, nil
}
