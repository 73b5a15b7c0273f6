package duties

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/placement"
)

// Assign is the leader's duty of assigning placement once enough stores have registered, and
// again whenever one joins before the first upload.
type Assign struct {
	Member
	// SettleAfter is how long no store may have registered while a member's host is missing.
	SettleAfter time.Duration
	// Members are the ids of the hosts that are members.
	Members func() []string
	// Start brings a catalog without a placement to its first feature level.
	Start func(context.Context, *catalog.View) error
}

// Run looks at each tick, until ctx ends.
func (a *Assign) Run(ctx context.Context) {
	ticker := time.NewTicker(a.Tick)
	defer ticker.Stop()
	known, quiet := 0, time.Now() // registered stores, and since when that many
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		view := a.Catalog.View()
		if n := len(view.Stores()); n != known {
			known, quiet = n, time.Now()
		}
		if _, leads := a.Leading(); !leads || time.Since(quiet) < a.SettleAfter && !a.allHostsCame(view) {
			continue
		}
		a.assign(ctx, view)
	}
}

// allHostsCame reports whether every member's host has registered its stores, which it
// does with one heartbeat: then there is nobody left to wait for. Hosts that are no
// members may come later, and change the plan until the first upload.
func (a *Assign) allHostsCame(view *catalog.View) bool {
	hosts := map[string]bool{}
	for _, st := range view.Stores() {
		hosts[string(st.Host)] = true
	}
	for _, id := range a.Members() {
		if !hosts[id] {
			return false
		}
	}
	return true
}

// assign proposes a plan if the catalog's is not the one that its stores ask for.
func (a *Assign) assign(ctx context.Context, view *catalog.View) {
	current := view.Placement()
	if current.Ready() && (view.Frozen() || Covers(current)) {
		return
	}
	stores := make([]placement.Store, 0, len(current.Stores))
	for _, st := range current.Stores {
		if !st.Cordoned {
			stores = append(stores, placement.Store{ID: st.ID, Host: st.Host})
		}
	}
	if !placement.Ready(stores, min(vstack.Acceptors, len(a.Members()))) {
		return
	}
	actx, done := context.WithTimeout(ctx, ProposeTimeout)
	defer done()
	if err := a.Start(actx, view); err != nil {
		a.Logger.Info("feature level was not set", "err", err)
		return
	}
	plan, err := placement.Plan(stores)
	if err != nil {
		a.Logger.Error("plan placement", "err", err)
		return
	}
	cluster, err := uuid.NewV7()
	if err != nil {
		a.Logger.Error("make a cluster id", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ProposeTimeout)
	defer cancel()
	// A refusal means that stores or uploads came in between: the next tick looks again.
	if _, err := a.Propose(ctx, command.AssignPlacement, command.AssignPlacementPayload{Base: current.Version, Groups: plan[:], Cluster: vstack.ClusterID(cluster)}); err != nil {
		a.Logger.Info("placement was not assigned", "err", err)
		return
	}
	a.Logger.Info("placement assigned", "stores", len(stores))
}

// Covers reports whether every registered store is a target that may be one: a plan gives
// roles to all.
func Covers(m *vstack.PlacementMap) bool {
	targets := map[vstack.StoreID]bool{}
	for _, g := range m.Groups {
		for _, id := range g.Targets {
			targets[id] = true
		}
	}
	for _, st := range m.Stores {
		if !targets[st.ID] && !st.Cordoned {
			return false
		}
	}
	return true
}
