package doctor

import (
	"os"
	"path/filepath"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/datakey"
	"github.com/vstack/vstack/internal/vfs"
)

// dataKeys finds encrypted stores and other directories of a host whose data key cannot be had: they are not opened.
// Keys that a command or a passphrase opens are left alone: both may ask somebody.
func dataKeys(h *config.Server) (out []Finding) {
	wrapping := datakey.Wrapping(h)
	if wrapping.Identity == "" {
		return nil
	}
	keys := keyfile.New(wrapping)
	mend := func(dir string) string {
		return "bring " + wrapping.Identity + " back, or name in data.key what opens " + filepath.Join(dir, keyfile.File) + "; then restart the host"
	}
	for _, d := range datakey.Directories(h) {
		if _, err := d.Key(keys, false); err != nil {
			out = append(out, finding("role "+d.Role, Fail, mend(d.Dir), "%v", err))
		}
	}
	for _, st := range h.Data.Stores {
		if _, err := os.Stat(filepath.Join(st.Dir, keyfile.File)); err != nil {
			continue // it is not encrypted, or there is none yet
		}
		b, err := os.ReadFile(filepath.Join(st.Dir, "STORE"))
		if err != nil {
			continue // the check of the disk says so
		}
		id, _, err := format.DecodeIdentity(b)
		if err != nil {
			continue // that of copies does
		}
		if _, err := keys.Open(vfs.OS{}, st.Dir, id); err != nil {
			out = append(out, finding("store "+st.Addr, Fail, mend(st.Dir)+"; if the directory came from another host: stop this one, move it aside, start it: an empty one becomes a new store",
				"store %s is encrypted and is not opened: %v", id, err))
		}
	}
	return out
}
