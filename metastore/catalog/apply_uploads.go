package catalog

import (
	"fmt"
	"unicode/utf8"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/manifest"
)

// MaxOpenUploads bounds uploads in state open.
const MaxOpenUploads = 1024

// maxSourceText bounds the texts that describe an uploaded file, in bytes.
const maxSourceText = 1024

func (a *application) openUpload(p OpenUploadPayload, res *Result) error {
	if err := CheckOpen(p); err != nil {
		return err
	}
	if g := get[*groupsRow](a.txn, tableGroups, []byte{1}); g == nil {
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
	a.meta.Incarnation++
	a.meta.OpenUploads++
	a.meta.Uploads++
	a.meta.Videos++
	a.putVideo(videoRow{
		Video: vstack.Video{ID: p.Video, Title: p.Title, State: vstack.VideoUploading, Class: vstack.ClassHot,
			Policy: p.Policy, Created: a.time, Source: p.Source},
		Upload: p.Upload, Created: a.index,
	})
	u := a.putUpload(uploadRow{
		Upload: vstack.Upload{ID: p.Upload, Video: p.Video, State: vstack.UploadOpen, Incarnation: a.meta.Incarnation,
			Owner: p.Owner, Index: a.index, Opened: a.time, Source: p.Source},
		Created: a.index,
	})
	res.Upload = &u.Upload
	return nil
}

// CheckOpen reports what is wrong with the fields of an open_upload.
func CheckOpen(p OpenUploadPayload) error {
	if err := CheckTitle(p.Title); err != nil {
		return err
	}
	if err := CheckPolicy(p.Policy); err != nil {
		return err
	}
	switch {
	case p.Owner.IsZero():
		return fmt.Errorf("open upload: %w: owner is missing", vstack.ErrInvalid)
	case p.Video.IsZero() || p.Upload.IsZero():
		return fmt.Errorf("open upload: %w: id is missing", vstack.ErrInvalid)
	case p.Source.Size < 0:
		return fmt.Errorf("open upload: %w: source size %d", vstack.ErrInvalid, p.Source.Size)
	case len(p.Source.Name) > maxSourceText || len(p.Source.Container) > maxSourceText:
		return fmt.Errorf("open upload: %w: source name or container over %d bytes", vstack.ErrInvalid, maxSourceText)
	case !utf8.ValidString(p.Source.Name) || !utf8.ValidString(p.Source.Container):
		return fmt.Errorf("open upload: %w: source name or container is not UTF-8", vstack.ErrInvalid)
	}
	return nil
}

// CheckTitle wants 1 to vstack.MaxTitle bytes of UTF-8 without control characters.
func CheckTitle(s string) error {
	if len(s) == 0 || len(s) > vstack.MaxTitle || !utf8.ValidString(s) {
		return fmt.Errorf("title of %d bytes: %w: want 1 to %d bytes of UTF-8", len(s), vstack.ErrInvalid, vstack.MaxTitle)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("title: %w: control character %U", vstack.ErrInvalid, r)
		}
	}
	return nil
}

// CheckPolicy wants one of the storage policies.
func CheckPolicy(p vstack.ClassPolicy) error {
	switch p {
	case vstack.PolicyAuto, vstack.PolicyHot, vstack.PolicyCold:
		return nil
	}
	return fmt.Errorf("storage policy %.40q: %w: want auto, hot or cold", p, vstack.ErrInvalid)
}

func (a *application) resumeUpload(p ResumeUploadPayload, res *Result) error {
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

func (a *application) publish(p PublishPayload, res *Result) error {
	u := a.upload(p.Upload)
	if u == nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, vstack.ErrNotFound)
	}
	if p.Manifest == nil {
		return fmt.Errorf("publish upload %s: %w: no manifest", p.Upload, vstack.ErrManifestInvalid)
	}
	v := a.video(u.Upload.Video)
	if u.Upload.State == vstack.UploadPublished && v != nil && v.Video.State == vstack.VideoPublished && p.Incarnation == u.Upload.Incarnation {
		if d, err := manifest.Digest(p.Manifest); err == nil && d == v.digest {
			res.Video = a.answer(v)
			return nil // the same publish again
		}
	}
	if err := live(u, p.Incarnation); err != nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, err)
	}
	stats, err := manifest.Check(p.Manifest, u.Upload.Video)
	if err != nil {
		return fmt.Errorf("publish upload %s: %w", p.Upload, err)
	}
	a.meta.OpenUploads--
	next := *v
	next.Video.State = vstack.VideoPublished
	next.Video.Published = a.time
	next.Video.Duration = p.Manifest.Duration
	next.Video.Size, next.Video.Chunks, next.Video.Tracks = stats.Size, stats.Chunks, len(p.Manifest.Tracks)
	next.Manifest = p.Manifest
	res.Video = a.answer(a.putVideo(next)) // a copy: a remembered answer must not keep the manifest alive
	done := *u
	done.Upload.State = vstack.UploadPublished
	a.putUpload(done)
	return nil
}

// live wants an open upload whose current incarnation is inc.
func live(u *uploadRow, inc vstack.Incarnation) error {
	if u.Upload.State != vstack.UploadOpen {
		return fmt.Errorf("%w: it is %s", vstack.ErrUploadNotLive, u.Upload.State)
	}
	if inc != u.Upload.Incarnation {
		return fmt.Errorf("%w: incarnation %d, current is %d", vstack.ErrFenced, inc, u.Upload.Incarnation)
	}
	return nil
}

func (a *application) abortUpload(p AbortUploadPayload, res *Result) error {
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
func (a *application) endUpload(u *uploadRow) *uploadRow {
	a.meta.OpenUploads--
	done := *u
	done.Upload.State = vstack.UploadAborted
	return a.putUpload(done)
}
