package uploader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/progress"
	"github.com/vstack/vstack/uploader/send"
)

const (
	maxRetryWait = time.Minute
	abortTimeout = 30 * time.Second
	maxAborts    = 5
)

// errPublished says that the video is out already: an earlier publish had arrived
// although its answer had not.
var errPublished = errors.New("published already")

// work runs a job's attempts until it has ended or the server stops.
func (s *Server) work(ctx context.Context, j *job, resume bool) {
	if j.asked != nil {
		ctx = tracing.Under(ctx, j.asked)
	}
	ctx, span := s.cfg.Tracer.Root(ctx, "upload job", attribute.String("upload", j.id.String()), attribute.String("video", j.Record().Upload.Video.String()))
	defer func() { span.SetAttributes(attribute.String("state", string(j.Record().Job.State))); span.End() }()
	log := s.log.With("upload", j.id.String())
	for pause := s.cfg.RetryWait; ; pause = min(2*pause, maxRetryWait) {
		err := s.turn(ctx, j, resume)
		resume = true
		switch {
		case err == nil || errors.Is(err, errPublished):
			s.conclude(j, wire.JobPublished, nil)
			return
		case errors.Is(context.Cause(ctx), errStopping):
			log.Info("job interrupted: the uploader stops")
			s.interrupt(j, err)
			return
		case errors.Is(context.Cause(ctx), errCanceledByClient):
			s.abort(j)
			s.conclude(j, wire.JobCanceled, errCanceledByClient)
			return
		case superseded(err) && s.lost(ctx, j):
			log.Warn("job ends: the upload is not this process's any more", "err", err)
			s.conclude(j, wire.JobFailed, err)
			return
		case (send.Transient(err) || superseded(err)) && time.Since(j.Record().Job.Started) < s.cfg.RetryFor:
			log.Warn("job interrupted, will try again", "err", err, "in", pause)
			s.interrupt(j, err)
			if !sleep.For(ctx, pause) {
				continue // the next turn ends at once, for the context's cause
			}
		default:
			log.Warn("job failed", "err", err)
			s.abort(j)
			s.conclude(j, wire.JobFailed, err)
			return
		}
	}
}

// superseded says that the upload belongs to another process or to nobody.
func superseded(err error) bool {
	return errors.Is(err, vstack.ErrFenced) || errors.Is(err, vstack.ErrNotOwner) ||
		errors.Is(err, vstack.ErrUploadNotLive) || errors.Is(err, vstack.ErrNotFound)
}

// lost asks the catalog whether the upload is really gone from this process: a store
// that lags behind may refuse what the catalog still grants, and that passes.
func (s *Server) lost(ctx context.Context, j *job) bool {
	now, err := s.cfg.Catalog.Upload(ctx, j.id)
	if err != nil {
		return !send.Transient(err)
	}
	rec := j.Record()
	return now.State != vstack.UploadOpen || now.Owner != rec.Upload.Owner && now.Owner != rec.NextOwner
}

// turn waits until the job may run and makes one attempt.
func (s *Server) turn(ctx context.Context, j *job, resume bool) error {
	if c := j.early; c != nil {
		j.early = nil
		if done, err := s.goOn(ctx, j, c); done {
			return err
		}
		resume = true // the whole file is cut, by an incarnation of its own
	}
	j.Update(func(r *progress.Record) {
		if r.Job.State != wire.JobInterrupted {
			r.Job.State = wire.JobQueued
		}
	})
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn: %w", context.Cause(ctx))
	case s.turns <- struct{}{}:
	}
	defer func() { <-s.turns }()
	s.metrics.running.Inc()
	defer s.metrics.running.Dec()
	return s.attempt(ctx, j, resume)
}

// resume asks the catalog for a fresh incarnation, unless another process did since.
func (s *Server) resume(ctx context.Context, j *job) error {
	rec := j.Record()
	now, err := s.cfg.Catalog.Upload(ctx, j.id)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	switch {
	case now.State == vstack.UploadPublished:
		return errPublished
	case now.State != vstack.UploadOpen:
		return fmt.Errorf("resume: %w: it is %s", vstack.ErrUploadNotLive, now.State)
	case now.Owner != rec.Upload.Owner && now.Owner != rec.NextOwner:
		return fmt.Errorf("resume: %w: incarnation %d belongs to another process", vstack.ErrFenced, now.Incarnation)
	}
	owner := s.newOwner()
	now.Source = rec.Upload.Source
	j.Update(func(r *progress.Record) { r.Upload, r.NextOwner = now, owner })
	if err := s.save(j); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	up, err := s.cfg.Catalog.ResumeUpload(ctx, j.id, wire.ResumeUploadRequest{Owner: owner})
	if err != nil {
		return fmt.Errorf("resume: %w", s.publishedBefore(ctx, j.id, err))
	}
	up.Source = rec.Upload.Source
	j.Update(func(r *progress.Record) {
		r.Upload = up
		r.Job.Resumed++
	})
	if err := s.save(j); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

func (s *Server) save(j *job) error {
	state, err := progress.Encode(j.Record())
	if err != nil {
		return err
	}
	return s.spool.Save(j.id, state)
}

// publishedBefore turns "not live" into errPublished where that is the reason.
func (s *Server) publishedBefore(ctx context.Context, id vstack.UploadID, err error) error {
	if !errors.Is(err, vstack.ErrUploadNotLive) {
		return err
	}
	if up, e := s.cfg.Catalog.Upload(ctx, id); e == nil && up.State == vstack.UploadPublished {
		return errPublished
	}
	return err
}

// newOwner is this process for one incarnation.
func (s *Server) newOwner() vstack.ProposerID {
	random := uuid.New()
	if s.cfg.Host == "" {
		return vstack.ProposerID(random)
	}
	return vstack.ProposerOf(s.cfg.Host, [8]byte(random[8:]))
}

// interrupt writes down that the job waits to be continued, and why.
func (s *Server) interrupt(j *job, cause error) {
	j.Update(func(r *progress.Record) {
		r.Job.State = wire.JobInterrupted
		if cause != nil && !errors.Is(cause, errStopping) && !errors.Is(cause, context.Canceled) {
			p := wire.Outward(cause)
			r.Job.Error = &p
		}
	})
	if err := s.save(j); err != nil {
		s.log.Warn("save interrupted job", "upload", j.id.String(), "err", err)
	}
}

// abort tells the catalog that the upload is over. What cannot be told now is of no
// harm: an open upload is visible to nobody and can be resumed or aborted by hand.
func (s *Server) abort(j *job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), abortTimeout)
	defer cancel()
	inc := j.Record().Upload.Incarnation
	if inc == 0 { // its state does not read
		up, err := s.cfg.Catalog.Upload(ctx, j.id)
		if err != nil || up.State != vstack.UploadOpen {
			s.log.Warn("abort upload", "upload", j.id.String(), "state", up.State, "err", err)
			return
		}
		inc = up.Incarnation
	}
	for try, pause := 1, 100*time.Millisecond; ; try, pause = try+1, 2*pause {
		err := s.cfg.Catalog.AbortUpload(ctx, j.id, inc)
		if err == nil || superseded(err) {
			return
		}
		if try == maxAborts || !send.Transient(err) || !sleep.For(ctx, pause) {
			s.log.Warn("abort upload", "upload", j.id.String(), "err", err)
			j.Warn("the catalog could not be told that the upload was aborted: " + err.Error())
			return
		}
	}
}

// conclude ends a job: its last state is on disk before its file goes.
func (s *Server) conclude(j *job, end wire.JobState, cause error) {
	j.Update(func(r *progress.Record) {
		r.Job.State, r.Job.Error = end, nil
		if end == wire.JobPublished {
			r.Job.Position = max(r.Job.Position, r.Job.Duration)
		}
		if cause != nil {
			p := wire.Outward(cause)
			r.Job.Error = &p
		}
	})
	rec := j.Record()
	state, err := progress.Encode(rec)
	if err == nil {
		err = s.spool.Finish(j.id, state)
	}
	if err != nil {
		s.log.Error("remove an ended job's file", "upload", j.id.String(), "err", err)
	}
	s.endJob(j, rec)
	s.metrics.jobs.WithLabelValues(string(end)).Inc()
	s.log.Info("job ended", "upload", j.id.String(), "video", rec.Upload.Video.String(), "state", end,
		"chunks", rec.Job.Chunks, "reused", rec.Job.Reused, "bytes", rec.Job.Bytes)
}
