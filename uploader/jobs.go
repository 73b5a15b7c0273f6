package uploader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/progress"
)

// mendEvery is how often a job whose state does not read is read again: what an error of
// the disk or too few descriptors hid comes back.
const mendEvery = 30 * time.Second

// ended is the last state of a job that has ended.
type ended struct {
	job  wire.Job
	part string // under which its file arrived
}

// recall reads what the process before has left. A job that does not read is kept, with
// its file, and waits.
func (s *Server) recall() (open []*job, err error) {
	entries, strange, err := s.spool.Jobs()
	if err != nil {
		return nil, err
	}
	for _, dir := range strange {
		s.log.Warn("left alone: not the directory of a job", "dir", dir)
	}
	for _, e := range entries {
		j := s.recallJob(e.ID)
		if j.broken != nil {
			s.log.Error("a job does not read; it is kept and waits", "upload", e.ID.String(), "file", s.spool.Source(e.ID), "err", j.broken)
		}
		open = append(open, j)
	}
	last, err := s.spool.Done()
	if err != nil {
		return nil, err
	}
	var done []ended
	for _, e := range last {
		rec, err := progress.Decode(e.State)
		if err = errors.Join(e.Err, err); err != nil {
			s.log.Warn("the last state of an ended job does not read", "upload", e.ID.String(), "err", err)
			continue
		}
		done = append(done, ended{job: rec.Job, part: rec.Part})
	}
	slices.SortFunc(done, func(a, b ended) int { return a.job.Updated.Compare(b.job.Updated) })
	for _, d := range done {
		s.remember(d)
	}
	return open, nil
}

// recallJob makes a job of its state in the spool.
func (s *Server) recallJob(id vstack.UploadID) *job {
	rec, err := s.readRecord(id)
	if err != nil {
		now := time.Now().UTC()
		p := wire.Outward(unreadable(err))
		j := newJob(progress.Record{Version: progress.Version, Upload: vstack.Upload{ID: id}, Job: wire.Job{
			ID: id.String(), Upload: id, State: wire.JobInterrupted, Started: now, Updated: now, Error: &p}})
		j.broken = err
		return j
	}
	rec.Job.State = wire.JobInterrupted
	return newJob(rec)
}

func unreadable(err error) error {
	return fmt.Errorf("%w: the state of this job does not read: %w; its file is kept, and it goes on when the state reads again; else send the file once more with resume, or cancel the job", vstack.ErrCorrupt, err)
}

func (s *Server) readRecord(id vstack.UploadID) (progress.Record, error) {
	e := s.spool.Read(id)
	if e.Err != nil {
		return progress.Record{}, e.Err
	}
	rec, err := progress.Decode(e.State)
	if err == nil && rec.Upload.ID != id {
		err = fmt.Errorf("read job: %w: it is of upload %s", vstack.ErrInvalid, rec.Upload.ID)
	}
	return rec, err
}

// mend waits until the state of a broken job reads, and returns true then. A job that is
// canceled meanwhile ends; of one that is replaced, or that the server stops, everything
// is left as it is.
func (s *Server) mend(ctx context.Context, j *job) bool {
	for sleep.For(ctx, mendEvery) {
		rec, err := s.readRecord(j.id)
		if err != nil {
			continue
		}
		s.log.Info("a job reads again", "upload", j.id.String())
		j.Update(func(r *progress.Record) {
			*r = rec
			r.Job.State = wire.JobInterrupted
		})
		return true
	}
	if errors.Is(context.Cause(ctx), errCanceledByClient) {
		s.abort(j)
		s.conclude(j, wire.JobCanceled, errCanceledByClient)
	}
	return false
}

// evict ends the wait of a broken job whose file was sent anew.
func (s *Server) evict(id vstack.UploadID) {
	j, _, ok := s.find(id)
	if !ok || j == nil || j.broken == nil {
		return
	}
	j.cancel(errReplaced)
	<-j.over
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[id] == j {
		delete(s.jobs, id)
	}
}

// byPart finds the job that a part became.
func (s *Server) byPart(part string) (wire.Job, bool) {
	s.mu.Lock()
	living := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		living = append(living, j)
	}
	done := s.done
	s.mu.Unlock()
	for _, j := range living {
		if rec := j.Record(); rec.Part == part {
			return rec.Job, true
		}
	}
	for _, d := range slices.Backward(done) {
		if d.part == part {
			return d.job, true
		}
	}
	return wire.Job{}, false
}

// startJob gives a job its goroutine. ErrClosed: the server stops.
func (s *Server) startJob(j *job, resume bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return fmt.Errorf("upload: %w: this uploader is stopping", vstack.ErrClosed)
	case s.jobs[j.id] != nil:
		return fmt.Errorf("upload %s: %w: it is worked on", j.id, vstack.ErrAlreadyExists)
	}
	j.ctx, j.cancel = context.WithCancelCause(s.ctx)
	s.jobs[j.id] = j
	s.wg.Go(func() {
		defer close(j.over)
		defer j.cancel(nil)
		if j.broken == nil || s.mend(j.ctx, j) {
			s.work(j.ctx, j, resume)
		}
	})
	return nil
}

// endJob moves a job from the living to the remembered.
func (s *Server) endJob(j *job, rec progress.Record) {
	s.remember(ended{job: rec.Job, part: rec.Part})
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, j.id)
}

func (s *Server) remember(final ended) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = slices.DeleteFunc(s.done, func(d ended) bool { return d.job.Upload == final.job.Upload })
	s.done = append(s.done, final)
	for len(s.done) > maxDone {
		if err := s.spool.Forget(s.done[0].job.Upload); err != nil {
			s.log.Warn("forget an ended job", "upload", s.done[0].job.Upload, "err", err)
		}
		s.done = s.done[1:]
	}
}

// find returns a living job, or the last state of an ended one.
func (s *Server) find(id vstack.UploadID) (*job, wire.Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[id]; j != nil {
		return j, wire.Job{}, true
	}
	for _, d := range slices.Backward(s.done) {
		if d.job.Upload == id {
			return nil, d.job, true
		}
	}
	return nil, wire.Job{}, false
}

// list returns all jobs, newest first.
func (s *Server) list() []wire.Job {
	s.mu.Lock()
	living := make([]*job, 0, len(s.jobs))
	for _, j := range s.jobs {
		living = append(living, j)
	}
	var out []wire.Job
	for _, d := range s.done {
		out = append(out, d.job)
	}
	s.mu.Unlock()
	for _, j := range living {
		snap, _ := j.Snapshot()
		out = append(out, snap)
	}
	slices.SortStableFunc(out, func(a, b wire.Job) int { return b.Started.Compare(a.Started) })
	return out
}

// load counts living jobs, for the queue's bound.
func (s *Server) load() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)
}
