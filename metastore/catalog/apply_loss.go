package catalog

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// acceptLoss brings groups whose votes are lost to an epoch that begins with none.
func (a *application) acceptLoss(p command.AcceptLossPayload, _ *command.Result) error {
	groups := slices.Clone(a.groups())
	if err := command.CheckLoss(p, a.meta.Level, groups); err != nil {
		return err
	}
	for _, l := range p.Groups {
		if err := a.checkTargets(l.Targets); err != nil {
			return fmt.Errorf("accept the loss of group %d: %w", l.PG, err)
		}
		groups[l.PG] = vstack.PGTargets{Epoch: l.To, Targets: l.Targets, Fragments: groups[l.PG].CarryFragments(l.Targets)}
		a.note(vstack.EventAccepted, fmt.Sprintf("group %d", l.PG), fmt.Sprintf("votes of epoch %d are given up", l.From))
	}
	a.putGroups(groups)
	a.releaseStores()
	return nil
}
