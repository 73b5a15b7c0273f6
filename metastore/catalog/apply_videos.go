package catalog

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/access"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
	"github.com/vstack/vstack/metastore/views"
)

// deleteVideo leaves a tombstone, which keeps the id from being used again and tells
// acceptors and stores to drop what they hold.
func (a *application) deleteVideo(p command.DeleteVideoPayload, res *command.Result) error {
	v := a.video(p.Video)
	if v == nil {
		return fmt.Errorf("delete video %s: %w", p.Video, vstack.ErrNotFound)
	}
	if v.Video.State == vstack.VideoDeleted {
		res.Video = a.answer(v)
		return nil
	}
	if u := a.upload(v.Upload); u != nil && u.Upload.State == vstack.UploadOpen {
		a.endUpload(u)
	}
	next := *v
	next.Video.State = vstack.VideoDeleted
	if v.Published() {
		next.Forget()
		a.orphan(v.ManifestDigest(), a.index)
	}
	a.note(vstack.EventDeleted, "video "+p.Video.String(), next.Video.Title)
	res.Video = a.answer(a.putVideo(next))
	return nil
}

func (a *application) patchVideo(p command.PatchVideoPayload, res *command.Result) error {
	v, err := a.editable(p.Video)
	if err != nil {
		return fmt.Errorf("patch video: %w", err)
	}
	next := *v
	var what string
	if next.Video.Access, what, err = access.Change(v.Video.Access, p, a.meta.Level, a.index); err != nil {
		return err
	}
	if p.Title != nil {
		if err := command.CheckTitle(*p.Title); err != nil {
			return err
		}
		next.Video.Title = *p.Title
		a.note(vstack.EventRenamed, "video "+p.Video.String(), next.Video.Title)
	}
	if what != "" {
		a.note(vstack.EventAccess, "video "+p.Video.String(), what)
	}
	res.Video = a.answer(a.putVideo(next))
	return nil
}

// addViews counts views of published videos; others are skipped, because views come
// in batches of many videos and one of them may have been deleted meanwhile.
func (a *application) addViews(p command.AddViewsPayload, _ *command.Result) error {
	runs, counted := views.Counted(a.meta.Viewers, p.Source)
	if a.meta.Viewers = runs; counted {
		return nil
	}
	for _, w := range p.Views {
		v := a.video(w.Video)
		if v == nil || v.Video.State != vstack.VideoPublished || w.Count <= 0 || w.Count > command.MaxViews {
			continue
		}
		next := rows.Views{Video: w.Video, Count: w.Count}
		old := rows.Get[*rows.Views](a.txn, rows.TableViews, w.Video[:])
		if old != nil {
			next.Count += old.Count
		}
		a.warm(&next, old, w.Count)
		a.put(&next)
	}
	return nil
}

func (a *application) editable(id vstack.VideoID) (*rows.Video, error) {
	v := a.video(id)
	if v == nil || v.Video.State == vstack.VideoDeleted {
		return nil, fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	return v, nil
}

// answer is a copy of the video as readers see it.
func (a *application) answer(r *rows.Video) *vstack.Video {
	v := rows.WithViews(a.txn, &a.meta, r)
	return &v
}
