package catalog

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// assignPlacement takes a plan. Once an upload was ever opened, or an epoch change
// prepared, the assignment is frozen: from then on a group changes its targets by an
// epoch change only.
func (a *application) assignPlacement(p command.AssignPlacementPayload, _ *command.Result) error {
	old := rows.Get[*rows.Groups](a.txn, rows.TableGroups, []byte{1})
	switch {
	case old != nil && a.meta.Frozen():
		return fmt.Errorf("assign placement: %w: uploads were opened, groups change by epoch only", vstack.ErrAlreadyExists)
	case p.Base != a.meta.Placement:
		return fmt.Errorf("assign placement: %w: planned at %d, now at %d", vstack.ErrEpochStale, p.Base, a.meta.Placement)
	case len(p.Groups) != vstack.PlacementGroups:
		return fmt.Errorf("assign placement: %w: %d groups, want %d", vstack.ErrInvalid, len(p.Groups), vstack.PlacementGroups)
	}
	for pg, targets := range p.Groups {
		if err := a.checkTargets(targets); err != nil {
			return fmt.Errorf("assign placement: group %d: %w", pg, err)
		}
	}
	groups := make([]vstack.PGTargets, vstack.PlacementGroups)
	for pg, targets := range p.Groups {
		groups[pg] = vstack.PGTargets{Epoch: 1, Targets: targets}
		if old != nil {
			groups[pg].Epoch = old.Groups[pg].Epoch
			if !slices.Equal(old.Groups[pg].Targets, targets) {
				groups[pg].Epoch++
			}
		}
	}
	a.putGroups(groups)
	a.note(vstack.EventPlacement, "", fmt.Sprintf("%d groups on %d stores", len(groups), a.meta.Stores))
	if a.meta.Cluster.IsZero() {
		a.meta.Cluster = p.Cluster
	}
	return nil
}

// checkTargets wants distinct registered stores, enough of them to vote.
func (a *application) checkTargets(targets []vstack.StoreID) error {
	if len(targets) < vstack.Acceptors || len(targets) > a.meta.TargetCount() {
		return fmt.Errorf("%w: %d targets", vstack.ErrInvalid, len(targets))
	}
	for i, id := range targets {
		if rows.Get[*rows.Store](a.txn, rows.TableStores, id[:]) == nil || slices.Contains(targets[:i], id) {
			return fmt.Errorf("%w: store %s is unknown or listed twice", vstack.ErrInvalid, id)
		}
	}
	return nil
}

// setLeaving marks stores whose roles are to move. Who has no role is not marked, nor is
// one as dead that has come back since it was judged.
func (a *application) setLeaving(p command.SetLeavingPayload, _ *command.Result) error {
	if len(p.Stores) == 0 || len(p.Stores) > command.MaxStores {
		return fmt.Errorf("set leaving of %d stores: %w: want 1 to %d", len(p.Stores), vstack.ErrInvalid, command.MaxStores)
	}
	for _, l := range p.Stores {
		if err := a.checkLeave(l); err != nil {
			return fmt.Errorf("set leaving of store %s: %w", l.ID, err)
		}
	}
	used := a.roles()
	for _, l := range p.Stores {
		old := rows.Get[*rows.Store](a.txn, rows.TableStores, l.ID[:])
		if !used[l.ID] || l.Why == vstack.LeaveDead && (old.Store.State != vstack.StoreDown || old.Store.Leaving != "") ||
			old.Store.Leaving == l.Why && old.With == l.With {
			continue
		}
		next := *old
		next.Store.Leaving, next.With = l.Why, l.With
		a.put(&next)
		a.placementChanged()
		kind := vstack.EventLost
		if l.Why == vstack.LeaveOrdered {
			kind = vstack.EventReplaced
		}
		a.note(kind, "store "+l.ID.String(), "of host "+string(next.Store.Host))
	}
	return nil
}

func (a *application) checkLeave(l command.StoreLeave) error {
	if rows.Get[*rows.Store](a.txn, rows.TableStores, l.ID[:]) == nil {
		return vstack.ErrNotFound
	}
	if l.Why != vstack.LeaveDead && l.Why != vstack.LeaveOrdered {
		return fmt.Errorf("%w: reason %.40q", vstack.ErrInvalid, l.Why)
	}
	if l.With.IsZero() {
		return nil
	}
	with := rows.Get[*rows.Store](a.txn, rows.TableStores, l.With[:])
	if with == nil || l.With == l.ID || with.Store.Leaving != "" {
		return fmt.Errorf("%w: store %s cannot take its place: it is unknown, the same or leaving", vstack.ErrInvalid, l.With)
	}
	return nil
}

// roles is the set of stores that are targets, now or in an epoch that is prepared.
func (a *application) roles() map[vstack.StoreID]bool {
	used := map[vstack.StoreID]bool{}
	for _, g := range a.groups() {
		for _, id := range g.Targets {
			used[id] = true
		}
		if g.Next != nil {
			for _, id := range g.Next.Targets {
				used[id] = true
			}
		}
	}
	return used
}

// groups answers the assignment to read; nil before the first.
func (a *application) groups() []vstack.PGTargets {
	if g := rows.Get[*rows.Groups](a.txn, rows.TableGroups, []byte{1}); g != nil {
		return g.Groups
	}
	return nil
}

// prepareEpochs issues the next attempt for each group, in place of the one before. It
// is all or nothing: each group must be as its proposer saw it, or two leaders' choices
// could mix.
func (a *application) prepareEpochs(p command.PrepareEpochsPayload, _ *command.Result) error {
	groups := slices.Clone(a.groups())
	if len(groups) == 0 {
		return fmt.Errorf("prepare epochs: %w", vstack.ErrNotReady)
	}
	if len(p.Groups) == 0 || len(p.Groups) > vstack.PlacementGroups {
		return fmt.Errorf("prepare epochs: %w: %d groups, want 1 to %d", vstack.ErrInvalid, len(p.Groups), vstack.PlacementGroups)
	}
	for _, c := range p.Groups {
		if int(c.PG) >= len(groups) {
			return fmt.Errorf("prepare epochs: %w: group %d", vstack.ErrInvalid, c.PG)
		}
		g := &groups[c.PG]
		issued := uint32(0)
		if g.Next != nil {
			issued = g.Next.Attempt
		}
		if g.Epoch != c.From || issued != c.After {
			return fmt.Errorf("prepare epoch %d of group %d after attempt %d: %w: it is at epoch %d, attempt %d is out", c.From+1, c.PG, c.After, vstack.ErrEpochStale, g.Epoch, issued)
		}
		if err := a.checkTargets(c.Targets); err != nil {
			return fmt.Errorf("prepare epoch %d of group %d: %w", c.From+1, c.PG, err)
		}
		// A row is never changed in place, so neither is what it points at.
		g.Next = &vstack.NextEpoch{Epoch: c.From + 1, Attempt: issued + 1, Targets: c.Targets, Driver: c.Driver}
		if a.meta.Level >= vstack.LevelFragments {
			g.Next.Fragments = g.CarryFragments(c.Targets)
		}
		if !slices.Contains(g.Next.Acceptors(), c.Driver) {
			return fmt.Errorf("prepare epoch %d of group %d: %w: driver %s does not vote in it", c.From+1, c.PG, vstack.ErrInvalid, c.Driver)
		}
	}
	a.putGroups(groups)
	a.meta.Moved = true
	return nil
}

func (a *application) putGroups(groups []vstack.PGTargets) {
	a.put(&rows.Groups{Groups: groups})
	a.placementChanged()
}

// activateEpochs brings into force what is prepared under exactly the epoch and attempt
// that a change names: no other attempt can be activated after it was overtaken, so that
// the installs of two drivers never mix.
func (a *application) activateEpochs(p command.ActivateEpochsPayload, res *command.Result) error {
	if err := command.CheckActivation(p); err != nil {
		return err
	}
	groups := slices.Clone(a.groups())
	if len(groups) == 0 {
		return fmt.Errorf("activate epochs: %w", vstack.ErrNotReady)
	}
	changed := false
	for _, c := range p.Changes {
		g := &groups[c.PG]
		switch n := g.Next; {
		case n != nil && n.Epoch == c.Epoch && n.Attempt == c.Attempt:
			*g = vstack.PGTargets{Epoch: n.Epoch, Targets: n.Targets, Fragments: n.Fragments, Attempt: n.Attempt}
			changed = true
			res.Activated = append(res.Activated, c)
		case g.Epoch == c.Epoch && g.Attempt == c.Attempt: // the answer to the first was lost
			res.Activated = append(res.Activated, c)
		default:
			res.Refused = append(res.Refused, c)
		}
	}
	if changed {
		a.putGroups(groups)
		a.releaseStores()
	}
	return nil
}

// releaseStores ends the leaving of stores that have no role any more: they are spares.
func (a *application) releaseStores() {
	used := a.roles()
	var left []*rows.Store
	rows.Each(a.txn, rows.TableStores, rows.ByID, func(r *rows.Store) {
		if r.Store.Leaving != "" && !used[r.Store.ID] {
			left = append(left, r)
		}
	})
	for _, r := range left {
		next := *r
		next.Store.Leaving, next.With = "", vstack.StoreID{}
		a.put(&next)
		a.note(vstack.EventEmptied, "store "+next.Store.ID.String(), "of host "+string(next.Store.Host))
	}
}
