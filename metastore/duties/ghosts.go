package duties

import (
	"context"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
	"github.com/vstack/vstack/metastore/upkeep"
)

// ghostLook is how often the leader looks for ghosts, at most.
const ghostLook = 30 * time.Second

// Ghosts is the leader's duty of removing stores that are ghosts: that have been down for long,
// have no role, and hold nothing that others lack.
type Ghosts struct {
	Member
	// After is how long a store must have been silent; below 0 nothing is removed.
	After time.Duration
	// Standing is the placement with all that this leader heard of it.
	Standing func() (reconfigure.State, raftnode.Leadership, error)
}

// Run looks now and then, until ctx ends.
func (g *Ghosts) Run(ctx context.Context) {
	if g.After < 0 {
		return
	}
	ticker := time.NewTicker(max(g.Tick, min(ghostLook, g.After/10)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		state, l, err := g.Standing()
		if err != nil || g.Catalog.View().Level() < vstack.LevelPolicy {
			continue // another one leads, or there is no such order yet
		}
		for _, st := range g.ghosts(state, l) {
			if _, err := g.Propose(ctx, command.OrderStores, command.OrderStoresPayload{Stores: []vstack.StoreID{st.ID}, Order: vstack.OrderRemove}); err != nil {
				g.Logger.Warn("remove a store that was gone for long", "store", st.ID, "err", err) // the next look tries again
				continue
			}
			g.Logger.Warn("a store was gone for so long that it is removed", "store", st.ID, "host", st.Host, "silent_for_at_least", g.After)
		}
	}
}

// ghosts lists the stores that may go.
func (g *Ghosts) ghosts(s reconfigure.State, l raftnode.Leadership) (out []vstack.Store) {
	if !s.Map.Ready() {
		return nil
	}
	used := map[vstack.StoreID]bool{}
	for _, group := range s.Map.Groups {
		for _, id := range group.Targets {
			used[id] = true
		}
	}
	for _, st := range s.Map.Stores {
		if used[st.ID] || st.Cordoned || st.State != vstack.StoreDown || g.Monitor.Silence(l.Term, st.ID, time.Now()) < g.After {
			continue
		}
		if upkeep.Remove(s, []vstack.StoreID{st.ID}, false) == nil {
			out = append(out, st)
		}
	}
	return out
}
