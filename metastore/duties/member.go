package duties

import (
	"context"
	"log/slog"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/raftnode"
)

// ProposeTimeout bounds a leader's own writes.
const ProposeTimeout = 5 * time.Second

// Member is what a duty sees of the member that does it.
type Member struct {
	Catalog *catalog.Catalog
	Monitor *liveness.Monitor
	// Leading answers the leadership that the member holds, if it does.
	Leading func() (raftnode.Leadership, bool)
	// Propose commits a command and returns its refusal, or the error of the commit.
	Propose func(context.Context, command.Type, any) (*command.Result, error)
	Logger  *slog.Logger
	// Tick is how often a duty looks without a cause, SuspectAfter a store's silence before
	// it is suspect.
	Tick, SuspectAfter time.Duration
}

// Silent are the stores that this leader has missed for as long as makes one suspect: a new
// leader commits nothing about stores that it never heard of before DownAfter, and should not
// wait so long for a driver that died with the leader before it.
func (m *Member) Silent(l raftnode.Leadership, places *vstack.PlacementMap) map[vstack.StoreID]bool {
	out := map[vstack.StoreID]bool{}
	now := time.Now()
	for _, st := range places.Stores {
		if m.Monitor.Silence(l.Term, st.ID, now) >= m.SuspectAfter {
			out[st.ID] = true
		}
	}
	return out
}
