package datanode

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// withoutCopies leaves out directories that are copies of another one of this host: two
// stores of one identity would vote as one. The one that comes first in the configuration
// stays; if it is the older, its echo tells, as for any store that was set back.
func withoutCopies(cfg Config) ([]StoreConfig, error) {
	var out []StoreConfig
	first := map[vstack.StoreID]string{}
	for _, sc := range cfg.Stores {
		b, err := vfs.ReadFile(cfg.FS, filepath.Join(sc.Dir, "STORE"), 4096)
		if errors.Is(err, fs.ErrNotExist) {
			out = append(out, sc) // a new store
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("whose directory is %s: %w", sc.Dir, err)
		}
		id, _, err := format.DecodeIdentity(b)
		if of, twice := first[id]; err == nil && twice {
			cfg.Logger.Error("the directory is a copy of another one and is not served: move it aside, and an empty one becomes a new store; the other stores go on",
				"dir", sc.Dir, "addr", sc.Addr, "store", id, "copy_of", of)
			continue
		}
		if err == nil { // else opening it says what is wrong
			first[id] = sc.Dir
		}
		out = append(out, sc)
	}
	return out, nil
}
