package doctor

import (
	"os"
	"path/filepath"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

// copies finds directories of a host that are copies of another one of it: the first is
// served, the others are not. Copies of another host's the cluster finds.
func copies(h *config.Server) (out []Finding) {
	first := map[vstack.StoreID]string{}
	for _, st := range h.Data.Stores {
		b, err := os.ReadFile(filepath.Join(st.Dir, "STORE"))
		if err != nil {
			continue // no store yet, or the check of the disk says so
		}
		id, _, err := format.DecodeIdentity(b)
		if err != nil {
			out = append(out, finding("store "+st.Addr, Fail, "docs/runbook.md, A disk died", "%s: %v", st.Dir, err))
			continue
		}
		if of := first[id]; of != "" {
			out = append(out, finding("store "+st.Addr, Fail, "stop the host, move "+st.Dir+" aside, start it: an empty one becomes a new store",
				"%s is a copy of %s, both are store %s: it is not served", st.Dir, of, id))
			continue
		}
		first[id] = st.Dir
	}
	return out
}
