package catalog

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/access"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/rows"
	"github.com/vstack/vstack/metastore/manifest"
)

// MaxOpenUploads bounds uploads in state open.
const MaxOpenUploads = 1024

func (a *application) openUpload(p command.OpenUploadPayload, res *command.Result) error {
	if err := command.CheckOpen(p); err != nil {
		return err
	}
	if g := rows.Get[*rows.Groups](a.txn, rows.TableGroups, []byte{1}); g == nil {
		return fmt.Errorf("open upload: %w", vstack.ErrNotReady)
	}
	if a.meta.OpenUploads >= MaxOpenUploads {
		return fmt.Errorf("open upload: %w: %d are open", vstack.ErrTooManyUploads, a.meta.OpenUploads)
	}
	if a.video(p.Video) != nil {
		return fmt.Errorf("open upload: video %s: %w", p.Video, vstack.ErrAlreadyExists)
	}
	if a.upload(p.Upload) != nil {
		return fmt.Errorf("open upload: upload %s: %w", p.Upload, vstack.ErrAlreadyExists)
	}
	visible, _, err := access.Change(vstack.Access{}, command.PatchVideoPayload{Visibility: p.Visibility}, a.meta.Level, a.index)
	if err != nil {
		return err
	}
	a.meta.Incarnation++
	a.meta.OpenUploads++
	a.meta.Uploads++
	a.meta.Videos++
	a.putVideo(rows.Video{
		Video: vstack.Video{ID: p.Video, Title: p.Title, State: vstack.VideoUploading, Class: vstack.ClassHot,
			Policy: p.Policy, Created: a.time, Source: p.Source, Access: visible},
		Upload: p.Upload, Created: a.index,
	})
	u := a.putUpload(rows.Upload{
		Upload: vstack.Upload{ID: p.Upload, Video: p.Video, State: vstack.UploadOpen, Incarnation: a.meta.Incarnation,
			Owner: p.Owner, Index: a.index, Opened: a.time, Source: p.Source},
		Created: a.index,
	})
	res.Upload = &u.Upload
	return nil
}

func (a *application) resumeUpload(p command.ResumeUploadPayload, res *command.Result) error {
	u := a.upload(p.Upload)
	switch {
	case p.Owner.IsZero():
		return fmt.Errorf("resume upload %s: %w: owner is missing", p.Upload, vstack.ErrInvalid)
	case u == nil:
		return fmt.Errorf("resume upload %s: %w", p.Upload, vstack.ErrNotFound)
	case u.Upload.State != vstack.UploadOpen:
		return fmt.Errorf("resume upload %s: %w: it is %s", p.Upload, vstack.ErrUploadNotLive, u.Upload.State)
	}
	a.meta.Incarnation++
	next := *u
	next.Upload.Incarnation = a.meta.Incarnation
	next.Upload.Owner = p.Owner
	next.Upload.Index = a.index
	res.Upload = &a.putUpload(next).Upload
	return nil
}

func (a *application) publish(p command.PublishPayload, res *command.Result) error {
	u := a.upload(p.Upload)
	if u == nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, vstack.ErrNotFound)
	}
	if p.Manifest == nil {
		return fmt.Errorf("publish upload %s: %w: no manifest", p.Upload, vstack.ErrManifestInvalid)
	}
	v := a.video(u.Upload.Video)
	if u.Upload.State == vstack.UploadPublished && v != nil && v.Video.State == vstack.VideoPublished && p.Incarnation == u.Upload.Incarnation {
		if d, err := manifest.Digest(p.Manifest); err == nil && d == v.ManifestDigest() {
			res.Video = a.answer(v)
			return nil // the same publish again
		}
	}
	if err := live(u, p.Incarnation); err != nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, err)
	}
	stats, err := command.CheckManifest(p.Manifest, u.Upload.Video, a.meta.Level)
	if err != nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, err)
	}
	source, err := command.CheckSource(u.Upload.Source, p.Source, a.meta.Level)
	if err != nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, err)
	}
	a.meta.OpenUploads--
	next := *v
	next.Video.Source = source
	next.Video.State = vstack.VideoPublished
	next.Video.Published = a.time
	next.Video.Duration = p.Manifest.Duration
	next.Video.Size, next.Video.Chunks, next.Video.Tracks = stats.Size, stats.Chunks, len(p.Manifest.Tracks)
	next.Manifest = p.Manifest
	if a.meta.Level >= vstack.LevelFormats {
		next.Video.ClassIndex = a.index
	}
	res.Video = a.answer(a.putVideo(next)) // a copy: a remembered answer must not keep the manifest alive
	done := *u
	done.Upload.State = vstack.UploadPublished
	done.Upload.Source = source
	a.putUpload(done)
	a.note(vstack.EventPublished, "video "+next.Video.ID.String(), next.Video.Title)
	return nil
}

// live wants an open upload whose current incarnation is inc.
func live(u *rows.Upload, inc vstack.Incarnation) error {
	if u.Upload.State != vstack.UploadOpen {
		return fmt.Errorf("%w: it is %s", vstack.ErrUploadNotLive, u.Upload.State)
	}
	if inc != u.Upload.Incarnation {
		return fmt.Errorf("%w: incarnation %d, current is %d", vstack.ErrFenced, inc, u.Upload.Incarnation)
	}
	return nil
}

func (a *application) abortUpload(p command.AbortUploadPayload, res *command.Result) error {
	u := a.upload(p.Upload)
	if u == nil {
		return fmt.Errorf("abort upload %s: %w", p.Upload, vstack.ErrNotFound)
	}
	if u.Upload.State == vstack.UploadAborted {
		res.Upload = &u.Upload
		return nil
	}
	inc := p.Incarnation
	if inc == 0 {
		inc = u.Upload.Incarnation
	}
	if err := live(u, inc); err != nil {
		return fmt.Errorf("abort upload %s: %w", p.Upload, err)
	}
	if v := a.video(u.Upload.Video); v != nil && v.Video.State == vstack.VideoUploading {
		next := *v
		next.Video.State = vstack.VideoFailed
		a.putVideo(next)
	}
	res.Upload = &a.endUpload(u).Upload
	return nil
}

// endUpload aborts an open upload.
func (a *application) endUpload(u *rows.Upload) *rows.Upload {
	a.meta.OpenUploads--
	done := *u
	done.Upload.State = vstack.UploadAborted
	a.note(vstack.EventAborted, "upload "+done.Upload.ID.String(), "of video "+done.Upload.Video.String())
	return a.putUpload(done)
}
