package uploader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/order"
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
	if o.Resume.IsZero() {
		return nil
	}
	if j, ended, ok := s.find(o.Resume); ok {
		if j == nil {
			return fmt.Errorf("resume: %w: it is %s", vstack.ErrUploadNotLive, ended.State)
		}
		if rec := j.record(); j.broken == nil {
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
	return nil
}

// accept takes over a part that is whole and on disk: it looks whether it is media, opens
// or resumes the upload and makes it a job. The part is the caller's on any error, and
// when it was not needed.
func (s *Server) accept(ctx context.Context, part *spool.Part, o order.Order) (acc wire.Accepted, err error) {
	if err := s.judge(ctx, &o); err != nil { // a field may have stood behind the file
		return acc, err
	}
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
	media, err := s.look(ctx, part.Path(), o.Renditions)
	if err != nil {
		return acc, err
	}
	src.Container = media.Format
	j, resumed, err := s.open(ctx, o, src, media.Duration)
	if err != nil {
		return acc, fmt.Errorf("upload: %w", err)
	}
	if resumed && j.ctx != nil { // this process has it, and it goes on by itself
		return accepted(j.record().Upload, nil), nil
	}
	j.media, j.asked = &media, ctx
	j.rec.Part, j.rec.Cut = part.ID, s.cut
	for _, v := range same {
		j.rec.Notes = append(j.rec.Notes, "the same file is stored already, as video "+v.String())
	}
	// From here on a failure has to be told to the catalog, whether or not the client
	// still listens.
	if err := s.adopt(part, j); err != nil {
		s.withdraw(j, resumed)
		return acc, err
	}
	return accepted(j.rec.Upload, same), nil
}

func (s *Server) adopt(part *spool.Part, j *job) error {
	state, err := encodeRecord(j.rec)
	if err != nil {
		return err
	}
	s.evict(j.id)
	if err := s.spool.Adopt(part, j.id, state); err != nil {
		return err
	}
	if s.startJob(j, false) {
		return nil
	}
	if s.ctx.Err() != nil {
		return fmt.Errorf("upload: %w: this uploader is stopping", vstack.ErrUnavailable)
	}
	return fmt.Errorf("upload: %w: the queue is full", vstack.ErrTooManyUploads)
}

// open opens the upload, or takes over the one that is resumed. A job with a context is
// one that this process works on already.
func (s *Server) open(ctx context.Context, o order.Order, src vstack.Source, duration float64) (j *job, resumed bool, err error) {
	var up vstack.Upload
	if o.Resume.IsZero() {
		err = s.persist(ctx, func() (err error) {
			up, err = s.cfg.Catalog.OpenUpload(ctx, wire.OpenUploadRequest{Title: o.Title, Policy: o.Policy, Owner: s.newOwner(), Source: src})
			return err
		})
		if err != nil {
			return nil, false, err
		}
		return newJob(newRecord(up, o.Options, duration, time.Now().UTC())), false, nil
	}
	if j, _, ok := s.find(o.Resume); ok && j != nil && j.broken == nil {
		if rec := j.record(); rec.Upload.Source.SHA256 != src.SHA256 {
			return nil, true, notTheSame(rec.Upload, src)
		}
		return j, true, nil
	}
	if up, err = s.takeOver(ctx, o.Resume, src); err != nil {
		return nil, true, err
	}
	rec := newRecord(up, o.Options, duration, time.Now().UTC())
	rec.Job.Resumed = 1
	return newJob(rec), true, nil
}

// takenOverLater: an upload is its host's until the catalog has noticed that it is gone.
func takenOverLater(err error) bool { return transient(err) || errors.Is(err, vstack.ErrForbidden) }

// persist repeats call while the catalog is out of reach, for openPatience.
func (s *Server) persist(ctx context.Context, call func() error) error {
	return s.patiently(ctx, transient, call)
}

func (s *Server) patiently(ctx context.Context, passes func(error) bool, call func() error) error {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for pause := s.cfg.RetryWait / 8; ; pause = min(2*pause, 5*time.Second) {
		err := call()
		if err == nil || !passes(err) || errors.Is(err, vstack.ErrOutcomeUnknown) || !sleep(ctx, pause) {
			return err
		}
	}
}

// sameFile lists the published videos of the very same bytes.
func (s *Server) sameFile(ctx context.Context, src vstack.Source) ([]vstack.VideoID, error) {
	ups, err := s.cfg.Catalog.Uploads(ctx, metaclient.UploadFilter{State: vstack.UploadPublished, SourceSHA256: src.SHA256})
	if err != nil {
		return nil, err
	}
	var same []vstack.VideoID
	for _, up := range ups {
		v, err := s.cfg.Catalog.Video(ctx, up.Video)
		switch {
		case err == nil && v.State == vstack.VideoPublished:
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
	case up.Source.SHA256 != src.SHA256:
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
	if !resumed {
		s.abort(j)
	}
	if err := s.spool.Remove(j.id); err != nil {
		s.log.Error("remove a withdrawn job", "upload", j.id.String(), "err", err)
	}
}

// look asks ffprobe, a few at a time.
func (s *Server) look(ctx context.Context, path string, renditions []string) (ffmpeg.Media, error) {
	select {
	case s.probing <- struct{}{}:
		defer func() { <-s.probing }()
	case <-ctx.Done():
		return ffmpeg.Media{}, fmt.Errorf("upload: %w: %w", vstack.ErrTruncated, context.Cause(ctx))
	}
	m, err := s.cfg.tools().Probe(ctx, path)
	if err != nil {
		return m, err
	}
	_, err = ffmpeg.NewPlan(m, renditions, s.cfg.Media)
	return m, err
}
