package uploader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/cut"
	"github.com/vstack/vstack/uploader/early"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/progress"
	"github.com/vstack/vstack/uploader/spool"
)

// arrives has a part cut while it grows, where that can be.
func (s *Server) arrives(part *spool.Part, o order.Order) {
	if s.cfg.EarlyFrom < 0 || !o.Resume.IsZero() || s.level() < vstack.LevelFormats {
		return
	}
	o.Close()
	s.early.Grew(part.ID, part.Path(), part.Arrived(), o)
}

// cutArriving opens an upload for a file that arrives and cuts it. What a former process has
// begun on the part goes on when the file is whole, and is not begun again beside it.
func (s *Server) cutArriving(ctx context.Context, c *early.Cut[*job]) (m vstack.Manifest, err error) {
	if s.left(c.ID) != nil {
		return m, fmt.Errorf("cut: %w: it was begun before this start", vstack.ErrNotReady)
	}
	tools := s.cfg.tools()
	tools.Arriving = c.Opened()
	media, err := tools.ProbeArriving(ctx, c.Path)
	if err != nil {
		return m, err
	}
	plan, err := ffmpeg.NewPlan(media, c.Order.Renditions, s.cfg.Media)
	if err == nil && !plan.Forward() {
		err = fmt.Errorf("cut: %w: the plan wants a look at the whole file", vstack.ErrNotReady)
	}
	if err != nil {
		return m, err
	}
	texts, err := s.texts(c.Order.Subtitles)
	if err != nil {
		return m, err
	}
	up, err := s.cfg.Catalog.OpenUpload(ctx, wire.OpenUploadRequest{Title: c.Order.Title, Policy: c.Order.Policy, Owner: s.newOwner(),
		Source: vstack.Source{Name: c.Order.Name, Container: media.Format}, Visibility: c.Order.Visibility})
	if err != nil {
		return m, err
	}
	rec := progress.NewRecord(up, c.Order.Options, plan.Duration, time.Now().UTC())
	rec.Part, rec.Cut, rec.Unnamed = c.ID, s.cut, true
	j := newJob(rec)
	j.media = &media
	defer s.cfg.Chunks.Forget(up)
	state, err := progress.Encode(j.Record())
	if err == nil {
		err = s.spool.Begin(c.ID, state)
	}
	if err != nil {
		s.abort(j)
		return m, err
	}
	c.Own(j) // not before: whoever takes the job over writes its state
	return s.run(ctx, j, cut.Order{Plan: plan, Subtitles: texts, Arriving: c}, nil)
}

// begun is the job that has begun on a part before it was whole; nil where there is none, or
// where the client has said something else since. again says that its cut does not run any
// more, and goes on under another incarnation.
func (s *Server) begun(ctx context.Context, id string, o order.Order, src vstack.Source, duration float64) (j *job, again bool) {
	c := s.early.Take(id)
	if c != nil {
		j, _ = c.Owned(ctx)
	}
	if j == nil {
		s.drop(c, nil)
		c, j, again = nil, s.left(id), true
	}
	if j == nil || !o.Alike(j.Record().Options) || again && !s.isOpen(ctx, j) {
		s.drop(c, j)
		return nil, false
	}
	j.early = c
	j.Update(func(r *progress.Record) {
		r.Upload.Source, r.Job.Source, r.Job.Duration = src, src, duration
	})
	return j, again
}

// isOpen asks whether the upload of a job that a former process has left is still its own.
func (s *Server) isOpen(ctx context.Context, j *job) bool {
	up, err := s.cfg.Catalog.Upload(ctx, j.id)
	return err == nil && up.State == vstack.UploadOpen && up.Owner == j.Record().Upload.Owner
}

// left is the job that is written down beside a part, nil for none.
func (s *Server) left(id string) *job {
	state, err := s.spool.Begun(id)
	if err == nil && state == nil {
		return nil
	}
	rec, err2 := progress.Decode(state)
	if err = errors.Join(err, err2); err != nil {
		s.log.Warn("what had begun on a part does not read", "part", id, "err", err)
		return nil
	}
	return newJob(rec)
}

// drop ends what has begun on a part: nobody will publish it.
func (s *Server) drop(c *early.Cut[*job], j *job) {
	if c != nil {
		c.End(early.ErrDropped)
		if own, ok := c.Job(); ok {
			j = own
		}
	}
	if j != nil {
		s.abort(j)
	}
}

// gone drops what has begun on a part that is not accepted.
func (s *Server) gone(id string) {
	s.drop(s.early.Take(id), s.left(id))
}

// clear undoes what a former process had begun on parts that no client goes on with.
func (s *Server) clear(ids []string) {
	for _, id := range ids {
		s.gone(id)
		if err := s.spool.RemovePart(id); err != nil {
			s.log.Warn("remove a part", "part", id, "err", err)
		}
	}
}

// goOn finishes a cut that began while the file arrived, and publishes. Not done means that
// the whole file is to be cut.
func (s *Server) goOn(ctx context.Context, j *job, c *early.Cut[*job]) (done bool, err error) {
	s.metrics.running.Inc()
	defer s.metrics.running.Dec()
	source := s.spool.Source(j.id)
	plan, err := s.plan(ctx, j, source, j.Record().Options.Renditions)
	if err != nil {
		c.End(err)
		return true, err
	}
	m, err := c.Finish(ctx, source, plan)
	if err != nil {
		s.log.Info("the file is cut anew, now that it is whole", "upload", j.id.String(), "why", err)
		return ctx.Err() != nil, err
	}
	return true, s.publish(ctx, j, m)
}
