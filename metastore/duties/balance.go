package duties

import (
	"context"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// stillness is since when a placement is as it is, and whether it was looked at.
type stillness struct {
	version uint64
	since   time.Time
	looked  bool
}

// balance ends the sharing out of roles once every store has its share, and begins it where
// one has far from it and nothing has moved for a while; neither while moves are paused.
func (e *Epochs) balance(ctx context.Context, view *catalog.View, state reconfigure.State, d reconfigure.Decision) {
	if _, paused := view.Redundancy(); paused || view.Level() < vstack.LevelPolicy || !view.Frozen() {
		return
	}
	switch {
	case state.Balance && d.Uneven == 0 && len(d.Changes) == 0:
		if e.setBalance(ctx, vstack.BalanceIdle) {
			e.Logger.Info("every store has its share of the roles")
		}
	case view.Balance() == vstack.BalanceIdle && e.stands(state.Map.Version, d):
		plan, err := reconfigure.Shares(state)
		if err != nil {
			e.Logger.Error("measure the shares of stores", "err", err)
			return
		}
		if plan.Groups == 0 || plan.Worst < reconfigure.Uneven && plan.Added == 0 {
			return
		}
		if !e.setBalance(ctx, vstack.BalanceRunning) {
			e.still.looked = false
			return
		}
		e.Logger.Info("roles are shared out anew", "groups", plan.Groups, "roles", plan.Roles)
	}
}

func (e *Epochs) setBalance(ctx context.Context, to vstack.Balance) bool {
	_, err := e.Propose(ctx, command.SetBalance, command.SetBalancePayload{To: to})
	if err != nil {
		e.Logger.Warn("commit whether roles are shared out", "to", to, "err", err) // the next look tries again
	}
	return err == nil
}

// stands reports once for each placement that it has not changed for BalanceAfter, with
// nothing on its way.
func (e *Epochs) stands(version uint64, d reconfigure.Decision) bool {
	now := time.Now()
	if e.still.version != version || d.Preparing > 0 || len(d.Changes) > 0 {
		e.still = stillness{version: version, since: now}
	}
	if e.still.looked || now.Sub(e.still.since) < e.cfg.BalanceAfter {
		return false
	}
	e.still.looked = true
	return true
}

// inFragments answers View.Fragmented, read again once the feed went on.
func (e *Epochs) inFragments(view *catalog.View) *[vstack.PlacementGroups]bool {
	if e.fragmented == nil || e.fragmentedAt != view.FeedIndex() {
		e.fragmented, e.fragmentedAt = view.Fragmented(), view.FeedIndex()
	}
	return e.fragmented
}
