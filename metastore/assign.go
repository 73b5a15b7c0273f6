package metastore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/placement"
)

// runPlacement is the leader's duty of assigning placement once enough stores have
// registered, and again whenever one joins before the first upload.
func (s *Server) runPlacement(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Tick)
	defer ticker.Stop()
	known, quiet := 0, time.Now() // registered stores, and since when that many
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		view := s.catalog.View()
		if n := len(view.Stores()); n != known {
			known, quiet = n, time.Now()
		}
		if _, leads := s.node.Leading(); !leads || time.Since(quiet) < s.cfg.SettleAfter && !s.allHostsCame(view) {
			continue
		}
		s.assign(ctx, view)
	}
}

// allHostsCame reports whether every member's host has registered its stores, which it
// does with one heartbeat: then there is nobody left to wait for. Hosts that are no
// members may come later, and change the plan until the first upload.
func (s *Server) allHostsCame(view *catalog.View) bool {
	hosts := map[string]bool{}
	for _, st := range view.Stores() {
		hosts[string(st.Host)] = true
	}
	for _, m := range s.node.Members() {
		if !hosts[m.ID] {
			return false
		}
	}
	return true
}

// assign proposes a plan if the catalog's is not the one that its stores ask for.
func (s *Server) assign(ctx context.Context, view *catalog.View) {
	current := view.Placement()
	if current.Ready() && (view.Frozen() || covers(current)) {
		return
	}
	stores := make([]placement.Store, 0, len(current.Stores))
	for _, st := range current.Stores {
		stores = append(stores, placement.Store{ID: st.ID, Host: st.Host})
	}
	if !placement.Ready(stores, min(vstack.Acceptors, len(s.node.Members()))) {
		return
	}
	plan, err := placement.Plan(stores)
	if err != nil {
		s.cfg.Logger.Error("plan placement", "err", err)
		return
	}
	cluster, err := uuid.NewV7()
	if err != nil {
		s.cfg.Logger.Error("make a cluster id", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	// A refusal means that stores or uploads came in between: the next tick looks again.
	if _, err := s.propose(ctx, catalog.AssignPlacement, catalog.AssignPlacementPayload{Base: current.Version, Groups: plan[:], Cluster: vstack.ClusterID(cluster)}, ""); err != nil {
		s.cfg.Logger.Info("placement was not assigned", "err", err)
		return
	}
	s.cfg.Logger.Info("placement assigned", "stores", len(stores))
}

// covers reports whether every registered store is a target: a plan gives roles to all.
func covers(m *vstack.PlacementMap) bool {
	targets := map[vstack.StoreID]bool{}
	for _, g := range m.Groups {
		for _, id := range g.Targets {
			targets[id] = true
		}
	}
	for _, st := range m.Stores {
		if !targets[st.ID] {
			return false
		}
	}
	return true
}
