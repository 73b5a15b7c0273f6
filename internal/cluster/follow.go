package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/cluster/pace"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// hostPatience is how long the host that has a part of a file, or its job, is asked
	// before another one gets the file from its first byte.
	hostPatience = 2 * time.Minute
	// pollJob is how often a job's progress is asked for.
	pollJob = 150 * time.Millisecond
	// heldPatience is how long a job may wait for the cluster before a person is told
	// and let go; the uploader goes on trying.
	heldPatience = time.Minute
)

// errJobLost says that an uploader does not answer for a job.
var errJobLost = errors.New("its uploader is lost")

// Job asks an uploader for a job.
func (c *Cluster) Job(ctx context.Context, addr string, id vstack.UploadID) (wire.Job, error) {
	var job wire.Job
	return job, c.Get(ctx, addr, "/v1/jobs/"+id.String(), &job)
}

// FollowJob shows a job until it ends. A short silence of the uploader is borne: one
// that was restarted goes on with its jobs. A job that waits for the cluster for a
// minute is left with the reason, while the uploader goes on trying.
func (c *Cluster) FollowJob(ctx context.Context, prog *console.Progress, addr string, id vstack.UploadID) (wire.Job, error) {
	return c.follow(ctx, prog, addr, id, hostPatience, heldPatience)
}

func (c *Cluster) follow(ctx context.Context, prog *console.Progress, addr string, id vstack.UploadID, silence, patience time.Duration) (wire.Job, error) {
	task := prog.Task("store", console.UnitSeconds, 0)
	tick := time.NewTicker(pollJob)
	defer tick.Stop()
	heard := time.Now()
	var last wire.Job
	var held hold
	var rate pace.Pace
	away := false
	for {
		job, err := c.Job(ctx, addr, id)
		switch {
		case err != nil && (ctx.Err() != nil || time.Since(heard) > silence || errors.Is(err, vstack.ErrNotFound)):
			task.Fail("lost")
			return last, fmt.Errorf("follow job at %s: %w: %w", addr, errJobLost, err)
		case err != nil && !away:
			away = true
			task.Note(fmt.Sprintf("%s does not answer; asking it for %s", addr, silence))
		case err == nil:
			heard, last, away = time.Now(), job, false
			text := jobText(job)
			if _, rest, ok := rate.Left(heard, job.Position, job.Duration); ok && job.State == wire.JobRunning && job.Error == nil {
				text += ", " + console.Clock(rest.Seconds()) + " left"
			}
			task.Set(int64(1000*job.Position), int64(1000*job.Duration), text)
		}
		switch {
		case last.State == wire.JobPublished:
			task.End(fmt.Sprintf("%d chunks, %s", last.Chunks, console.Bytes(last.Bytes+last.Skipped)))
			return last, nil
		case last.State.Done():
			task.Fail(string(last.State))
			return last, jobError(last)
		case held.longer(last, task, patience):
			task.Fail("waits for the cluster")
			return last, jobError(last)
		}
		select {
		case <-ctx.Done():
			task.Fail("left")
			return last, fmt.Errorf("follow job at %s: %w", addr, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// hold follows whether a job waits for the cluster.
type hold struct {
	since  time.Time
	chunks int
}

// longer reports whether the job has said for longer than patience why no chunk of it
// is chosen, and tells people of it when it begins.
func (h *hold) longer(j wire.Job, task *console.Task, patience time.Duration) bool {
	if j.Error == nil || j.Chunks > h.chunks {
		h.since, h.chunks = time.Time{}, j.Chunks
		return false
	}
	if h.since.IsZero() {
		h.since = time.Now()
		task.Note(jobText(j))
	}
	return time.Since(h.since) > patience
}

func jobText(j wire.Job) string {
	text := fmt.Sprintf("%s, %d chunks", j.State, j.Chunks)
	if j.Error != nil {
		return text + ", waits: " + string(j.Error.Code) + " " + j.Error.Detail
	}
	if j.Speed > 0 {
		text += fmt.Sprintf(", %.1f×", j.Speed)
	}
	return text
}

func jobError(j wire.Job) error {
	if j.Error == nil {
		return fmt.Errorf("job %s is %s: %w", j.ID, j.State, vstack.ErrUnavailable)
	}
	return &wire.RemoteError{Problem: *j.Error, URL: "job " + j.ID}
}
