package catalog

import (
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
	"github.com/vstack/vstack/metastore/manifest"
	"github.com/vstack/vstack/metastore/placement"
)

func (a *application) setPolicy(p command.SetPolicyPayload, res *command.Result) error {
	if err := command.CheckPolicy(p.Policy); err != nil {
		return err
	}
	v, err := a.editable(p.Video)
	if err != nil {
		return fmt.Errorf("set storage policy: %w", err)
	}
	next := *v
	next.Video.Policy = p.Policy
	if !p.Layout.IsZero() {
		if next.Video.Layout, err = CheckLayout(&v.Video, p.Layout, a.meta.Level); err != nil {
			return fmt.Errorf("set storage policy: %w", err)
		}
	}
	a.note(vstack.EventPinned, "video "+p.Video.String(), string(p.Policy))
	res.Video = a.answer(a.putVideo(next))
	return nil
}

// CheckLayout is the layout of a video that is asked to have another one.
func CheckLayout(v *vstack.Video, l vstack.Layout, level vstack.Level) (vstack.Layout, error) {
	switch {
	case level < vstack.LevelFragments:
		return v.Layout, fmt.Errorf("layout of video %s: %w: there are none below feature level %d", v.ID, vstack.ErrInvalid, vstack.LevelFragments)
	case v.Class != vstack.ClassHot && l != v.Layout:
		return v.Layout, fmt.Errorf("layout of video %s: %w: it is %s in %s", v.ID, vstack.ErrClassStale, v.Class, v.Layout.Scheme)
	}
	return l, l.Check()
}

// stepClass takes one step, if the video is still in the class, and at the ClassIndex, that
// the step was decided upon. No byte is safe by this comparison: stores drop by what others
// hold, whatever classes are committed. It keeps two leaders' steps from mixing.
func (a *application) stepClass(p command.StepClassPayload, res *command.Result) error {
	if a.meta.Level < vstack.LevelFragments {
		return fmt.Errorf("step video %s: %w: classes change from feature level %d on", p.Video, vstack.ErrInvalid, vstack.LevelFragments)
	}
	if err := command.CheckStep(p); err != nil {
		return err
	}
	v, err := a.editable(p.Video)
	if err != nil {
		return fmt.Errorf("step class: %w", err)
	}
	if v.Video.State != vstack.VideoPublished || v.Video.Class != p.From || v.Video.ClassIndex != p.Index {
		return fmt.Errorf("step video %s from %s of %d: %w: it is %s, %s of %d", p.Video, p.From, p.Index, vstack.ErrClassStale, v.Video.State, v.Video.Class, v.Video.ClassIndex)
	}
	next := *v
	next.Video.Class, next.Video.ClassIndex = p.To, a.index
	if a.meta.Level >= vstack.LevelPolicy {
		next.Video.ClassSince, next.Video.ClassBefore = a.time.UTC(), max(v.Video.ClassIndex, a.meta.ClassFloor)
	}
	if p.From == vstack.ClassHot {
		if next.Video.Layout.IsZero() {
			next.Video.Layout = p.Layout
		}
		m, err := a.read(v.ManifestDigest())
		if err != nil { // to refuse would be another answer than that of the other members
			a.err = fmt.Errorf("step video %s: %w", p.Video, err)
			return nil
		}
		err = placement.Bears(placementOf(a.txn, &a.meta), manifest.Groups(m), next.Video.Layout.Scheme, p.HostsCanFail)
		if err != nil {
			return fmt.Errorf("step video %s: %w", p.Video, err)
		}
	}
	if p.To == vstack.ClassHot {
		next.Video.Layout = vstack.Layout{} // the next time that it cools decides anew
	}
	a.note(vstack.EventClass, "video "+p.Video.String(), string(p.From)+" to "+string(p.To))
	res.Video = a.answer(a.putVideo(next))
	return nil
}

// PublishedGroups are the placement groups in which a published video has chunks.
func (v *View) PublishedGroups() *[vstack.PlacementGroups]bool {
	return v.groupsOf(func(vstack.Video) bool { return true })
}

// Fragmented are the placement groups in which a published video lies in fragments, or is to.
func (v *View) Fragmented() *[vstack.PlacementGroups]bool {
	return v.groupsOf(func(of vstack.Video) bool { return of.Class != vstack.ClassHot || of.Policy == vstack.PolicyCold })
}

// groupsOf are the placement groups in which some published videos have chunks. It reads no
// more manifests once it found all groups, which takes a film or two. Where one cannot be read
// all groups count: the process is about to end.
func (v *View) groupsOf(counts func(vstack.Video) bool) *[vstack.PlacementGroups]bool {
	var out [vstack.PlacementGroups]bool
	left := len(out)
	rows.Each(v.txn, rows.TableVideos, rows.ByID, func(r *rows.Video) {
		if left == 0 || !r.Published() || !counts(r.Video) {
			return
		}
		m, err := v.manifest(r)
		if errors.Is(err, vstack.ErrNotFound) {
			return // deleted since
		}
		groups := manifest.Groups(m)
		for pg := range groups {
			groups[pg] = groups[pg] || err != nil
		}
		for pg, yes := range groups {
			if yes && !out[pg] {
				out[pg] = true
				left--
			}
		}
	})
	return &out
}
