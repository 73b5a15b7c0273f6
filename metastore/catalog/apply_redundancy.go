package catalog

import (
	"cmp"
	"fmt"
	"iter"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/heat"
)

// redundancy is what people decided about the classes of all videos, and how far views have
// decayed. It is of vstack.LevelPolicy, and replaced rather than changed.
type redundancy struct {
	Policy *vstack.RedundancyPolicy `json:"policy,omitempty"`
	Paused bool                     `json:"paused,omitzero"`
	// Steps are those of heat that have passed, the last of them at At.
	Steps uint64    `json:"steps,omitzero"`
	At    time.Time `json:"at,omitzero"`
}

// setRedundancy changes the policy, or pauses and resumes; what is not given stays.
func (a *application) setRedundancy(p command.SetRedundancyPayload, _ *command.Result) error {
	if a.meta.Level < vstack.LevelPolicy {
		return fmt.Errorf("set the policy of redundancy: %w: there is none below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	}
	next := a.meta.redundancy()
	if p.Policy != nil {
		if err := p.Policy.Check(); err != nil {
			return err
		}
		next.Policy = p.Policy
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

// ageViews lets steps of heat pass. One that was decided upon another count, such as a
// repeat, changes nothing.
func (a *application) ageViews(p command.AgeViewsPayload, _ *command.Result) error {
	if a.meta.Level < vstack.LevelPolicy {
		return fmt.Errorf("age views: %w: they do not decay below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	}
	next := a.meta.redundancy()
	if p.From == next.Steps && !p.At.Before(next.At) {
		next.Steps, next.At = next.Steps+uint64(p.Steps), p.At.UTC()
		a.meta.Redundancy = &next
	}
	return nil
}

// redundancy is a copy.
func (m *metaRow) redundancy() redundancy {
	if m.Redundancy == nil {
		return redundancy{}
	}
	return *m.Redundancy
}

// heat is a row's as of now. Views from before they decayed count in full at step 0.
func (m *metaRow) heat(r *viewsRow) int64 {
	if r == nil || m.Level < vstack.LevelPolicy {
		return 0
	}
	if r.Since == 0 {
		return heat.After(heat.Add(0, r.Count), m.redundancy().Steps)
	}
	return heat.After(r.Heat, m.redundancy().Steps+1-r.Since)
}

// warm adds views to the heat of a video's row.
func (a *application) warm(next, old *viewsRow, views int64) {
	if a.meta.Level < vstack.LevelPolicy {
		return
	}
	next.Heat, next.Since = heat.Add(a.meta.heat(old), views), a.meta.redundancy().Steps+1
}

// Redundancy is the policy in force, and whether videos' moves are paused.
func (v *View) Redundancy() (policy vstack.RedundancyPolicy, paused bool) {
	r := v.meta.redundancy()
	return *cmp.Or(r.Policy, &vstack.DefaultRedundancy), r.Paused
}

// Aged is how many steps of heat have passed, the last of them when; zero before the first.
func (v *View) Aged() (steps uint64, at time.Time) {
	r := v.meta.redundancy()
	return r.Steps, r.At
}

// Published walks the published videos with what counts of their views.
func (v *View) Published() iter.Seq[vstack.Video] {
	return func(yield func(vstack.Video) bool) {
		it, err := v.txn.Get(tableVideos, byID)
		if err != nil {
			panic(fmt.Sprintf("catalog: walk %s: %v", tableVideos, err))
		}
		for o := it.Next(); o != nil; o = it.Next() {
			r := o.(*videoRow)
			if r.Video.State == vstack.VideoPublished && !yield(withViews(v.txn, v.meta, r)) {
				return
			}
		}
	}
}

// withViews is the video as readers see it.
func withViews(txn *memdb.Txn, m *metaRow, r *videoRow) vstack.Video {
	v := r.Video
	if w := get[*viewsRow](txn, tableViews, r.key()); w != nil {
		v.Views, v.Popularity = w.Count, m.heat(w)/heat.View
	}
	return v
}
