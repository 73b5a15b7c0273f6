package uploader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/cut"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/progress"
	"github.com/vstack/vstack/uploader/send"
)

const (
	// baseStep is between the first track numbers of two cuts of one video: more than a
	// cut has, the original included.
	baseStep = 100
	// maxCuts bounds how often one attempt begins anew on fresh tracks.
	maxCuts = 4
)

// attempt cuts and publishes under one incarnation. A fresh upload uses the one that it
// was opened with; everything later asks for its own.
func (s *Server) attempt(ctx context.Context, j *job, resume bool) error {
	var chosen map[vstack.Slot]vstack.Value
	if resume {
		if err := s.resume(ctx, j); err != nil {
			return err
		}
	}
	rec := j.Record()
	// However it ends, the next attempt is another incarnation's.
	defer s.cfg.Chunks.Forget(rec.Upload)
	if resume || rec.Job.Resumed > 0 {
		var err error
		if chosen, err = s.cfg.Chunks.Chosen(ctx, rec.Upload); err != nil {
			return fmt.Errorf("ask what is chosen: %w", err)
		}
	}
	file := s.spool.Source(j.id)
	if err := s.spool.Vault().Whole(file, rec.Upload.Source.Size); err != nil {
		return err
	}
	if rec.Cut != s.cut {
		if err := s.recut(j, len(chosen) > 0); err != nil {
			return err
		}
	}
	m, err := s.cutFile(ctx, j, file, chosen)
	if err != nil {
		return err
	}
	return s.publish(ctx, j, m)
}

// recut writes down that this cut is another than before. Where chunks of the former one
// are chosen it goes to fresh tracks: their slots keep what they hold.
func (s *Server) recut(j *job, fresh bool) error {
	j.Update(func(r *progress.Record) {
		if fresh {
			r.Base += baseStep
		}
		r.Cut = s.cut
	})
	return s.save(j)
}

// cutFile cuts until a cut stands: a slot that holds another chunk than this cut has
// belongs to a former one, and the next goes to fresh tracks.
func (s *Server) cutFile(ctx context.Context, j *job, source string, chosen map[vstack.Slot]vstack.Value) (vstack.Manifest, error) {
	for cuts := 1; ; cuts++ {
		rec := j.Record()
		plan, err := s.plan(ctx, j, source, rec.Options.Renditions)
		if err != nil {
			return vstack.Manifest{}, err
		}
		texts, err := s.texts(rec.Options.Subtitles)
		if err != nil {
			return vstack.Manifest{}, err
		}
		m, err := s.run(ctx, j, cut.Order{Source: source, Plan: plan, Subtitles: texts}, chosen)
		if !errors.Is(err, vstack.ErrSlotConflict) || cuts == maxCuts {
			return m, err
		}
		s.log.Warn("cut anew on fresh tracks", "upload", j.id.String(), "base", rec.Base+baseStep, "err", err)
		if err := s.recut(j, true); err != nil {
			return m, err
		}
	}
}

// run makes one cut of a job's file.
func (s *Server) run(ctx context.Context, j *job, o cut.Order, chosen map[vstack.Slot]vstack.Value) (vstack.Manifest, error) {
	rec := j.Record()
	o.Video, o.Base, o.KeepOriginal = rec.Upload.Video, rec.Base, rec.Options.KeepOriginal
	o.Level, o.Tools, o.Stall, o.Longest = s.level(), s.cfg.tools(), s.cfg.Stall, s.cfg.Media.Duration
	ctx, span := tracing.Start(ctx, "cut with FFmpeg")
	m, err := cut.Run(ctx, o, j, func(ctx context.Context, fail context.CancelCauseFunc) cut.Sender {
		return send.New(ctx, fail, s.sending, j, rec.Upload, chosen)
	})
	tracing.End(span, err)
	return m, err
}

// plan is what to cut: of the probe that let the file in, or of a new one after a restart.
func (s *Server) plan(ctx context.Context, j *job, source string, renditions []string) (ffmpeg.Plan, error) {
	if j.media == nil {
		m, err := s.cfg.tools().Probe(ctx, source)
		if err != nil {
			return ffmpeg.Plan{}, err
		}
		j.media = &m
	}
	return ffmpeg.NewPlan(*j.media, renditions, s.cfg.Media)
}

// level is the cluster's feature level: below vstack.LevelFormats manifests are of
// version 1.
func (s *Server) level() vstack.Level {
	if c, ok := s.cfg.Catalog.(interface{ Level() vstack.Level }); ok {
		return c.Level()
	}
	return vstack.LevelFirst
}

// publish asks for as long as a chunk is tried: the cut is done, and an outage of the
// catalog must not cost it again.
func (s *Server) publish(ctx context.Context, j *job, m vstack.Manifest) error {
	j.Update(func(r *progress.Record) { r.Job.State, r.Job.Error = wire.JobPublishing, nil })
	rec := j.Record()
	req := wire.PublishRequest{Incarnation: rec.Upload.Incarnation, Manifest: m}
	if src := rec.Upload.Source; rec.Unnamed {
		req.Source = &wire.PublishedSource{Size: src.Size, SHA256: src.SHA256}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CommitTimeout)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		_, err := s.cfg.Catalog.Publish(ctx, j.id, req)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("publish: %w", s.publishedBefore(ctx, j.id, err))
		if !send.Transient(err) {
			return err
		}
		j.Held(err)
		if !sleep.For(ctx, pause) {
			return err
		}
	}
}
