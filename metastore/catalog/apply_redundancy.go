package catalog

import (
	"cmp"
	"fmt"
	"iter"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/heat"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// setRedundancy changes the policy, or pauses and resumes; what is not given stays.
func (a *application) setRedundancy(p command.SetRedundancyPayload, _ *command.Result) error {
	if a.meta.Level < vstack.LevelPolicy {
		return fmt.Errorf("set the policy of redundancy: %w: there is none below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	}
	next := a.meta.Decided()
	if p.Policy != nil {
		if err := p.Policy.Check(); err != nil {
			return err
		}
		next.Policy = p.Policy
		a.widen(p.Policy.Layout.Scheme.Total())
		a.note(vstack.EventPolicy, "", "of redundancy")
	}
	if p.Paused != nil {
		if next.Paused != *p.Paused {
			a.note(vstack.EventPolicy, "", map[bool]string{true: "videos' classes are paused", false: "videos' classes go on"}[*p.Paused])
		}
		next.Paused = *p.Paused
	}
	a.meta.Redundancy = &next
	return nil
}

// widen has placement groups get a target for each fragment of a scheme. They never get fewer
// again: what lies in a scheme stays in it.
func (a *application) widen(total int) {
	if a.meta.Level < vstack.LevelManifests || total <= a.meta.TargetCount() {
		return
	}
	a.meta.Targets = total
	if a.meta.Balance == vstack.BalanceIdle { // roles are shared out with it
		a.meta.Balance = vstack.BalanceRunning
	}
	a.placementChanged()
	a.note(vstack.EventPlacement, "", fmt.Sprintf("groups are widened to %d targets", total))
}

// ageViews lets steps of heat pass. One that was decided upon another count, such as a
// repeat, changes nothing.
func (a *application) ageViews(p command.AgeViewsPayload, _ *command.Result) error {
	if a.meta.Level < vstack.LevelPolicy {
		return fmt.Errorf("age views: %w: they do not decay below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	}
	next := a.meta.Decided()
	if p.From == next.Steps && !p.At.Before(next.At) {
		next.Steps, next.At = next.Steps+uint64(p.Steps), p.At.UTC()
		a.meta.Redundancy = &next
	}
	return nil
}

// warm adds views to the heat of a video's row.
func (a *application) warm(next, old *rows.Views, views int64) {
	if a.meta.Level < vstack.LevelPolicy {
		return
	}
	next.Heat, next.Since = heat.Add(a.meta.Heat(old), views), a.meta.Decided().Steps+1
}

// Redundancy is the policy in force, and whether videos' moves are paused.
func (v *View) Redundancy() (policy vstack.RedundancyPolicy, paused bool) {
	r := v.meta.Decided()
	return *cmp.Or(r.Policy, &vstack.DefaultRedundancy), r.Paused
}

// Aged is how many steps of heat have passed, the last of them when; zero before the first.
func (v *View) Aged() (steps uint64, at time.Time) {
	r := v.meta.Decided()
	return r.Steps, r.At
}

// Published walks the published videos with what counts of their views.
func (v *View) Published() iter.Seq[vstack.Video] {
	return func(yield func(vstack.Video) bool) {
		it, err := v.txn.Get(rows.TableVideos, rows.ByID)
		if err != nil {
			panic(fmt.Sprintf("catalog: walk %s: %v", rows.TableVideos, err))
		}
		for o := it.Next(); o != nil; o = it.Next() {
			r := o.(*rows.Video)
			if r.Video.State == vstack.VideoPublished && !yield(rows.WithViews(v.txn, v.meta, r)) {
				return
			}
		}
	}
}
