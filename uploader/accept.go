package uploader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/container"
	"github.com/vstack/vstack/uploader/early"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/progress"
	"github.com/vstack/vstack/uploader/send"
	"github.com/vstack/vstack/uploader/spool"
)

// openPatience is how long a client whose file has arrived waits for a catalog that is
// out of reach: sending the file again would cost it more.
const openPatience = time.Minute

// judge looks at an order before its file: a resume of what cannot be resumed, or with
// other options, ends here, before it has cost anybody anything.
func (s *Server) judge(ctx context.Context, o *order.Order) error {
	if err := s.judgeTexts(o.Subtitles); err != nil {
		return err
	}
	if err := s.judgeVisibility(o.Options); err != nil {
		return err
	}
	if o.Resume.IsZero() {
		return nil
	}
	if j, ended, ok := s.find(o.Resume); ok {
		if j == nil {
			return fmt.Errorf("resume: %w: it is %s", vstack.ErrUploadNotLive, ended.State)
		}
		if rec := j.Record(); j.broken == nil {
			return o.Follow(rec.Options)
		}
		return nil
	}
	up, err := s.cfg.Catalog.Upload(ctx, o.Resume)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	if up.State != vstack.UploadOpen {
		return fmt.Errorf("resume: %w: it is %s", vstack.ErrUploadNotLive, up.State)
	}
	return s.sameVisibility(ctx, o.Options, up.Video)
}

// judgeVisibility refuses what would make a film public that is to be none.
func (s *Server) judgeVisibility(o order.Options) error {
	switch level := s.level(); {
	case o.Visibility == "":
		return nil
	case o.Dedup && !o.Visibility.Same(vstack.VisibilityPublic):
		return fmt.Errorf("form: %w: field \"dedup\" takes a video that is public, field \"visibility\" wants one that is %s", vstack.ErrFormInvalid, o.Visibility)
	case level < vstack.LevelAccess:
		return fmt.Errorf("form: %w: field \"visibility\" needs feature level %d, the cluster is at %d", vstack.ErrFormInvalid, vstack.LevelAccess, level)
	}
	return nil
}

// sameVisibility wants what a resume says to be what the video has, where only the catalog knows.
func (s *Server) sameVisibility(ctx context.Context, o order.Options, id vstack.VideoID) error {
	if o.Visibility == "" {
		return nil
	}
	v, err := s.cfg.Catalog.Video(ctx, id)
	if err == nil && !o.Visibility.Same(v.Access.Visibility) {
		err = fmt.Errorf("%w: field \"visibility\" differs from the upload's; leave it out, or upload anew", vstack.ErrFormInvalid)
	}
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

// accept takes over a part that is whole and on disk: it looks whether it is media, opens
// or resumes the upload and makes it a job. The part is the caller's on any error, and
// when it was not needed.
func (s *Server) accept(ctx context.Context, part *spool.Part, o order.Order) (acc wire.Accepted, err error) {
	if err := s.judge(ctx, &o); err != nil { // a field may have stood behind the file
		return acc, err
	}
	s.early.Ended(part.ID, part.Size())
	src := vstack.Source{Name: o.Name, Size: part.Size(), SHA256: part.Sum()}
	same, err := s.sameFile(ctx, src)
	switch {
	case err != nil && o.Dedup:
		return acc, fmt.Errorf("upload: look for the same file: %w", err)
	case err != nil:
		s.log.Warn("look for the same file", "err", err)
	case o.Dedup && len(same) > 0:
		return wire.Accepted{Video: same[0], Duplicate: true, Same: same}, nil
	}
	media, err := s.look(ctx, part, o.Renditions)
	if err != nil {
		return acc, err
	}
	if n := s.load(); n >= s.cfg.MaxQueued { // before anything is done to the part, which may wait
		return acc, fmt.Errorf("upload: %w: %d jobs wait", vstack.ErrTooManyUploads, n)
	}
	src.Container = media.Format
	j, again := s.begun(ctx, part.ID, o, src, media.Duration)
	resumed := false
	if j == nil {
		if j, resumed, err = s.open(ctx, o, src, media.Duration); err != nil {
			return acc, fmt.Errorf("upload: %w", err)
		}
		j.Update(func(r *progress.Record) { r.Cut = cmp.Or(r.Cut, s.cut) }) // of one that a former program has cut it stays
	}
	if resumed && j.ctx != nil { // this process has it, and it goes on by itself
		return accepted(j.Record().Upload, nil), nil
	}
	j.media, j.asked = &media, ctx
	j.Update(func(r *progress.Record) {
		r.Part = part.ID
		for _, v := range same {
			note := "the same file is stored already, as video " + v.String()
			r.Notes, r.Job.Warnings = append(r.Notes, note), append(r.Job.Warnings, note)
		}
	})
	// From here on a failure has to be told to the catalog, whether or not the client
	// still listens.
	if err := s.adopt(part, j, again); err != nil {
		s.withdraw(j, resumed)
		return acc, err
	}
	return accepted(j.Record().Upload, same), nil
}

func (s *Server) adopt(part *spool.Part, j *job, again bool) error {
	state, err := progress.Encode(j.Record())
	if err != nil {
		return err
	}
	s.evict(j.id)
	if err := s.spool.Adopt(part, j.id, state); err != nil {
		return err
	}
	err = s.startJob(j, again)
	if errors.Is(err, vstack.ErrClosed) {
		s.log.Info("a file is whole as this uploader stops: its job begins when it is back", "upload", j.id.String())
		return nil
	}
	return err
}

// open opens the upload, or takes over the one that is resumed. A job with a context is
// one that this process works on already.
func (s *Server) open(ctx context.Context, o order.Order, src vstack.Source, duration float64) (j *job, resumed bool, err error) {
	var up vstack.Upload
	if o.Resume.IsZero() {
		err = s.persist(ctx, func() (err error) {
			up, err = s.cfg.Catalog.OpenUpload(ctx, wire.OpenUploadRequest{Title: o.Title, Policy: o.Policy, Owner: s.newOwner(), Source: src, Visibility: o.Visibility})
			return err
		})
		if err != nil {
			return nil, false, err
		}
		return newJob(progress.NewRecord(up, o.Options, duration, time.Now().UTC())), false, nil
	}
	if j, _, ok := s.find(o.Resume); ok && j != nil && j.broken == nil {
		if rec := j.Record(); rec.Upload.Source.SHA256 != src.SHA256 {
			return nil, true, notTheSame(rec.Upload, src)
		}
		return j, true, nil
	}
	if up, err = s.takeOver(ctx, o.Resume, src); err != nil {
		return nil, true, err
	}
	unnamed := up.Source.SHA256.IsZero()
	if unnamed {
		up.Source = src
	}
	rec := progress.NewRecord(up, o.Options, duration, time.Now().UTC())
	rec.Job.Resumed, rec.Unnamed = 1, unnamed
	return newJob(rec), true, nil
}

// takenOverLater: an upload is its host's until the catalog has noticed that it is gone.
func takenOverLater(err error) bool {
	return send.Transient(err) || errors.Is(err, vstack.ErrForbidden)
}

// persist repeats call while the catalog is out of reach, for openPatience.
func (s *Server) persist(ctx context.Context, call func() error) error {
	return s.patiently(ctx, send.Transient, call)
}

func (s *Server) patiently(ctx context.Context, passes func(error) bool, call func() error) error {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for pause := s.cfg.RetryWait / 8; ; pause = min(2*pause, 5*time.Second) {
		err := call()
		if err == nil || !passes(err) || errors.Is(err, vstack.ErrOutcomeUnknown) || !sleep.For(ctx, pause) {
			return err
		}
	}
}

// sameFile lists the published videos of the very same bytes that everybody may know of: to have
// a file is not to know that somebody keeps it in private.
func (s *Server) sameFile(ctx context.Context, src vstack.Source) ([]vstack.VideoID, error) {
	ups, err := s.cfg.Catalog.Uploads(ctx, metaclient.UploadFilter{State: vstack.UploadPublished, SourceSHA256: src.SHA256})
	if err != nil {
		return nil, err
	}
	var same []vstack.VideoID
	for _, up := range ups {
		v, err := s.cfg.Catalog.Video(ctx, up.Video)
		switch {
		case err == nil && v.State == vstack.VideoPublished && v.Access.Listed():
			same = append(same, v.ID)
		case err != nil && !errors.Is(err, vstack.ErrNotFound): // a deleted one is none
			return nil, err
		}
	}
	return same, nil
}

func accepted(up vstack.Upload, same []vstack.VideoID) wire.Accepted {
	return wire.Accepted{Video: up.Video, Upload: up.ID, Job: "/v1/jobs/" + up.ID.String(), Same: same}
}

// takeOver resumes an open upload with the same file and fences whoever had it.
func (s *Server) takeOver(ctx context.Context, id vstack.UploadID, src vstack.Source) (vstack.Upload, error) {
	up, err := s.cfg.Catalog.Upload(ctx, id)
	switch {
	case err != nil:
		return up, err
	case up.State != vstack.UploadOpen:
		return up, fmt.Errorf("resume: %w: it is %s", vstack.ErrUploadNotLive, up.State)
	case up.Source.SHA256 != src.SHA256 && !up.Source.SHA256.IsZero():
		return up, notTheSame(up, src)
	}
	err = s.patiently(ctx, takenOverLater, func() (err error) {
		up, err = s.cfg.Catalog.ResumeUpload(ctx, id, wire.ResumeUploadRequest{Owner: s.newOwner()})
		return err
	})
	return up, err
}

func notTheSame(up vstack.Upload, src vstack.Source) error {
	return fmt.Errorf("resume: %w: the file's SHA-256 is %s, the upload's %s", vstack.ErrInvalid, src.SHA256, up.Source.SHA256)
}

// withdraw undoes accept. A resumed upload stays open, for another try.
func (s *Server) withdraw(j *job, resumed bool) {
	if j.early != nil {
		j.early.End(early.ErrDropped)
	}
	if !resumed {
		s.abort(j)
	}
	if err := s.spool.Remove(j.id); err != nil {
		s.log.Error("remove a withdrawn job", "upload", j.id.String(), "err", err)
	}
}

// look asks ffprobe, a few at a time, and not again where the start of a file has told all.
func (s *Server) look(ctx context.Context, part *spool.Part, renditions []string) (m media.Media, err error) {
	if j := s.early.Owned(ctx, part.ID); j != nil && j.media != nil {
		indexed, err := container.Indexed(s.cfg.tools().Vault, part.Path())
		if err == nil && indexed {
			_, err = ffmpeg.NewPlan(*j.media, renditions, s.cfg.Media)
		}
		if err != nil || indexed {
			return *j.media, err
		}
	}
	select {
	case s.probing <- struct{}{}:
		defer func() { <-s.probing }()
	case <-ctx.Done():
		return m, fmt.Errorf("upload: %w: %w", vstack.ErrTruncated, context.Cause(ctx))
	}
	if m, err = s.cfg.tools().Probe(ctx, part.Path()); err == nil {
		_, err = ffmpeg.NewPlan(m, renditions, s.cfg.Media)
	}
	return m, err
}
