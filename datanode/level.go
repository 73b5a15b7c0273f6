package datanode

import (
	"context"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// raise has the store write what the cluster's feature level allows. A level never falls,
// so that one which is late is none the worse; a store that cannot follow now, because its
// disk is full, is asked again at the next heartbeat.
func (st *store) raise(ctx context.Context, level vstack.Level) {
	version := format.V1
	switch {
	case level >= vstack.LevelFragments:
		version = format.V3
	case level >= vstack.LevelFormats:
		version = format.V2
	}
	if err := st.disk.Upgrade(ctx, version); err != nil {
		st.server.cfg.Logger.Warn("store cannot follow the cluster's feature level yet", "store", st.disk.ID(), "level", level, "error", err)
	}
}
