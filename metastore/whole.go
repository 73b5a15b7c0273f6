package metastore

import (
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
)

// answerClaims answers what a host's stores claim of groups, as this leader heard it.
func (s *Server) answerClaims(l raftnode.Leadership, view *catalog.View, hb wire.Heartbeat) ([]wire.GroupWhole, []wire.GroupShort) {
	state := placed.Of(view)
	if !state.Map.Ready() {
		return nil, nil
	}
	state.Silent, state.Claims = s.duty.Silent(l, state.Map), s.monitor.Claims()
	return liveness.Answer(state, hb)
}
