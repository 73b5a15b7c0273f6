package datanode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/wire"
)

// scrubName is the file in a store's directory that says how the last whole scrub went.
const (
	scrubName = "scrub.json"
	maxScrub  = 4 << 10
)

// lastScrub is what an earlier process kept. Whoever cannot read it scrubs as a new store
// does: nothing but the time of the next pass hangs on it.
func (st *store) lastScrub() wire.ScrubStatus {
	path := filepath.Join(st.cfg.Dir, scrubName)
	b, err := vfs.ReadFile(st.server.cfg.FS, path, maxScrub)
	if errors.Is(err, fs.ErrNotExist) {
		return wire.ScrubStatus{}
	}
	var last wire.ScrubStatus
	if err == nil {
		err = json.Unmarshal(b, &last)
	}
	if err != nil {
		st.server.cfg.Logger.Warn("cannot read when the store was last scrubbed", "path", path, "error", err)
		return wire.ScrubStatus{}
	}
	last.Running, last.Passes = false, 0 // of that process
	return last
}

// keepScrub writes down a pass that reached its end.
func (st *store) keepScrub(done wire.ScrubStatus) error {
	b, err := json.Marshal(done)
	if err != nil {
		return fmt.Errorf("encode %s: %w", scrubName, err)
	}
	return vfs.WriteFile(st.server.cfg.FS, filepath.Join(st.cfg.Dir, scrubName), b, 0o640)
}
