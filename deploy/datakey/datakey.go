package datakey

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// Wrapping is what the configuration names, or the host's own identity, which is made when a
// store or another directory is.
func Wrapping(h *config.Server) keyfile.Wrapping {
	k, own := h.DataKey()
	return keyfile.Wrapping{Identity: k.Identity, MakeIdentity: own, Recipients: k.Recipients, Passphrase: k.PassphraseCommand, Command: k.WrapCommand}
}

// Directory is one of a host's besides its stores that has a data key, if it is encrypted.
type Directory struct {
	Role string // whose it is
	Dir  string
	// used are names in Dir of which there is one once the role has used the directory.
	used []string
}

// Meta is that of the metadata member.
func Meta(h *config.Server) Directory {
	return Directory{Role: config.RoleMeta, Dir: h.Meta.Dir, used: []string{"raft/raft.db", "raft/origin.json"}}
}

// View is that of what the host knows of the catalog.
func View(h *config.Server) Directory {
	return Directory{Role: config.RoleData, Dir: h.Data.Catalog, used: []string{"LOCK"}}
}

// Spool is that of an uploader.
func Spool(h *config.Server) Directory {
	return Directory{Role: config.RoleIngest, Dir: h.Ingest.Dir, used: []string{"lock"}}
}

// Directories are those of the roles that a host runs.
func Directories(h *config.Server) (out []Directory) {
	if h.Has(config.RoleMeta) {
		out = append(out, Meta(h))
	}
	if h.Has(config.RoleData) {
		out = append(out, View(h))
	}
	if h.Has(config.RoleIngest) {
		out = append(out, Spool(h))
	}
	return out
}

// ID stands in the directory's key file where a store's has the store's: a key is of one kind
// of directory.
func (d Directory) ID() vstack.StoreID {
	sum := sha256.Sum256([]byte("vstack directory of role " + d.Role))
	return vstack.StoreID(sum[:len(vstack.StoreID{})])
}

// Encrypted reports whether the directory has a key file.
func (d Directory) Encrypted() bool {
	_, err := os.Stat(filepath.Join(d.Dir, keyfile.File))
	return !errors.Is(err, fs.ErrNotExist)
}

// Key is the directory's data key, which is made with a directory that is new, if new ones are
// encrypted. nil says that the directory is plain, and stays so.
func (d Directory) Key(keys *keyfile.Keys, encrypt bool) (*sealed.Key, error) {
	if d.Encrypted() {
		key, err := keys.Open(vfs.OS{}, d.Dir, d.ID())
		if err != nil {
			return nil, fmt.Errorf("the directory of role %s is encrypted: %w", d.Role, err)
		}
		return sealed.NewKey(key.Secret), nil
	}
	if !encrypt {
		return nil, nil
	}
	for _, name := range d.used {
		if _, err := os.Lstat(filepath.Join(d.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return nil, nil // plain, or what is wrong with it, who opens it says
		}
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of role %s: %w", d.Role, err)
	}
	key, err := keys.Make(vfs.OS{}, d.Dir, d.ID(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the data key of role %s: %w", d.Role, err)
	}
	return sealed.NewKey(key.Secret), nil
}
