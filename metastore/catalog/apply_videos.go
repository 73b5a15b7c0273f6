package catalog

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// MaxViews bounds what one add_views may add to one video.
const MaxViews = 1 << 30

// deleteVideo leaves a tombstone, which keeps the id from being used again and tells
// acceptors and stores to drop what they hold.
func (a *application) deleteVideo(p DeleteVideoPayload, res *Result) error {
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
	next.Manifest = nil
	res.Video = a.answer(a.putVideo(next))
	return nil
}

func (a *application) patchVideo(p PatchVideoPayload, res *Result) error {
	v, err := a.editable(p.Video)
	if err != nil {
		return fmt.Errorf("patch video: %w", err)
	}
	next := *v
	if p.Title != nil {
		if err := CheckTitle(*p.Title); err != nil {
			return err
		}
		next.Video.Title = *p.Title
	}
	res.Video = a.answer(a.putVideo(next))
	return nil
}

func (a *application) setPolicy(p SetPolicyPayload, res *Result) error {
	if err := CheckPolicy(p.Policy); err != nil {
		return err
	}
	v, err := a.editable(p.Video)
	if err != nil {
		return fmt.Errorf("set storage policy: %w", err)
	}
	next := *v
	next.Video.Policy = p.Policy
	res.Video = a.answer(a.putVideo(next))
	return nil
}

// addViews counts views of published videos; others are skipped, because views come
// in batches of many videos and one of them may have been deleted meanwhile.
func (a *application) addViews(p AddViewsPayload, _ *Result) error {
	for _, w := range p.Views {
		v := a.video(w.Video)
		if v == nil || v.Video.State != vstack.VideoPublished || w.Count <= 0 || w.Count > MaxViews {
			continue
		}
		next := viewsRow{Video: w.Video, Count: w.Count}
		if old := get[*viewsRow](a.txn, tableViews, w.Video[:]); old != nil {
			next.Count += old.Count
		}
		a.put(&next)
	}
	return nil
}

func (a *application) editable(id vstack.VideoID) (*videoRow, error) {
	v := a.video(id)
	if v == nil || v.Video.State == vstack.VideoDeleted {
		return nil, fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	return v, nil
}

// answer is a copy of the video as readers see it.
func (a *application) answer(r *videoRow) *vstack.Video {
	v := withViews(a.txn, r)
	return &v
}
