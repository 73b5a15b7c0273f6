package uploader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

// roomEvery is how many bytes are written between two looks at the disk's free space.
const roomEvery = 64 << 20

// receive answers POST /upload: it stores the file, looks whether it is media, opens
// the upload and starts its job. On any error nothing is left of it.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (acc wire.Accepted, err error) {
	select {
	case s.receiving <- struct{}{}:
		defer func() { <-s.receiving }()
	default:
		return acc, fmt.Errorf("upload: %w: %d bodies are being received", vstack.ErrTooManyUploads, cap(s.receiving))
	}
	if n := s.load(); n >= s.cfg.MaxQueued {
		return acc, fmt.Errorf("upload: %w: %d jobs wait", vstack.ErrTooManyUploads, n)
	}
	if r.ContentLength > s.cfg.MaxUpload+maxOverhead {
		return acc, fmt.Errorf("upload: %w: body of %d bytes, files of at most %d", vstack.ErrTooLarge, r.ContentLength, s.cfg.MaxUpload)
	}
	if err := s.spool.room(max(r.ContentLength, 0)); err != nil {
		return acc, err
	}
	form, err := readForm(r, newGuard(w, r.Body, s.cfg.MaxUpload+maxOverhead, s.cfg.MinRate, s.cfg.RateWindow))
	if err != nil {
		return acc, err
	}
	dir, err := s.spool.newIncoming()
	if err != nil {
		return acc, err
	}
	defer os.RemoveAll(dir) // gone already when a job has adopted it
	src, err := s.store(filepath.Join(dir, fileSource), form)
	if err != nil {
		return acc, err
	}
	// The body is in: what follows takes as long as it takes.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	media, err := s.look(r.Context(), filepath.Join(dir, fileSource), form.Renditions)
	if err != nil {
		return acc, err
	}
	src.Container = media.Format
	return s.accept(r.Context(), dir, form, src, media.Duration)
}

// store writes the file to the spool, hashing it, and has it on disk on return.
func (s *Server) store(path string, form *form) (src vstack.Source, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return src, diskError(fmt.Errorf("spool: %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	buf := make([]byte, 256<<10) // package multipart hands out 4 KiB at a time
	var looked int64
	for ended := false; !ended; {
		n := 0
		for n < len(buf) && !ended {
			k, err := form.video.Read(buf[n:])
			n += k
			if ended = err == io.EOF; err != nil && !ended {
				return src, bodyError(err)
			}
		}
		src.Size += int64(n)
		if src.Size > s.cfg.MaxUpload {
			return src, fmt.Errorf("upload: %w: files of at most %d bytes", vstack.ErrTooLarge, s.cfg.MaxUpload)
		}
		if src.Size-looked >= roomEvery {
			looked = src.Size
			if err := s.spool.room(roomEvery); err != nil {
				return src, err
			}
		}
		h.Write(buf[:n])
		if _, err := f.Write(buf[:n]); err != nil {
			return src, diskError(fmt.Errorf("spool: %w", err))
		}
	}
	if err := form.end(); err != nil {
		return src, err
	}
	if err := f.Sync(); err != nil {
		return src, diskError(fmt.Errorf("spool: %w", err))
	}
	src.Name, src.SHA256 = form.name, vstack.ChunkID(h.Sum(nil))
	return src, nil
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

// plan is look for a job, which needs the plan.
func (s *Server) plan(ctx context.Context, path string, renditions []string) (ffmpeg.Plan, error) {
	m, err := s.cfg.tools().Probe(ctx, path)
	if err != nil {
		return ffmpeg.Plan{}, err
	}
	return ffmpeg.NewPlan(m, renditions, s.cfg.Media)
}

// accept opens or resumes the upload and makes it a job. From OpenUpload on a failure
// has to be told to the catalog, whether or not the client still listens.
func (s *Server) accept(ctx context.Context, dir string, form *form, src vstack.Source, duration float64) (acc wire.Accepted, err error) {
	resumed := !form.resume.IsZero()
	var up vstack.Upload
	if resumed {
		if j, _, ok := s.find(form.resume); ok && j != nil {
			return s.join(j, src)
		}
		up, err = s.takeOver(ctx, form.resume, src)
	} else {
		up, err = s.cfg.Catalog.OpenUpload(ctx, wire.OpenUploadRequest{
			Title: form.Title, Policy: form.Policy, Owner: newOwner(), Source: src,
		})
	}
	if err != nil {
		return acc, fmt.Errorf("upload: %w", err)
	}
	rec := newRecord(up, form.options, duration, time.Now().UTC())
	if resumed {
		rec.Job.Resumed = 1
	}
	j := newJob(rec)
	if err := s.spool.adopt(dir, rec); err != nil {
		s.withdraw(j, resumed)
		return acc, err
	}
	if !s.startJob(j, false) {
		s.withdraw(j, resumed)
		if s.ctx.Err() != nil {
			return acc, fmt.Errorf("upload: %w: this uploader is stopping", vstack.ErrUnavailable)
		}
		return acc, fmt.Errorf("upload: %w: the queue is full", vstack.ErrTooManyUploads)
	}
	return accepted(up), nil
}

func accepted(up vstack.Upload) wire.Accepted {
	return wire.Accepted{Video: up.Video, Upload: up.ID, Job: "/v1/jobs/" + up.ID.String()}
}

// join answers a resume of a job that this process has: it goes on by itself.
func (s *Server) join(j *job, src vstack.Source) (wire.Accepted, error) {
	rec := j.record()
	if rec.Upload.Source.SHA256 != src.SHA256 {
		return wire.Accepted{}, notTheSame(rec.Upload, src)
	}
	return accepted(rec.Upload), nil
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
	return s.cfg.Catalog.ResumeUpload(ctx, id, wire.ResumeUploadRequest{Owner: newOwner()})
}

func notTheSame(up vstack.Upload, src vstack.Source) error {
	return fmt.Errorf("resume: %w: the file's SHA-256 is %s, the upload's %s", vstack.ErrInvalid, src.SHA256, up.Source.SHA256)
}

// withdraw undoes accept. A resumed upload stays open, for another try.
func (s *Server) withdraw(j *job, resumed bool) {
	if !resumed {
		s.abort(j)
	}
	if err := os.RemoveAll(s.spool.jobDir(j.id)); err != nil {
		s.log.Error("remove a withdrawn job", "upload", j.id.String(), "err", err)
	}
}
