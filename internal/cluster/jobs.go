package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/vstack/vstack/internal/cluster/deliver"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// HostJob is a job and the uploader that has it.
type HostJob struct {
	Uploader string `json:"uploader"` // HOST:PORT
	wire.Job
}

// Jobs lists the jobs of every uploader, newest first, and the errors of those that do
// not answer.
func (c *Cluster) Jobs(ctx context.Context) (jobs []HostJob, silent error) {
	for _, addr := range c.cfg.Uploaders {
		ask, cancel := context.WithTimeout(ctx, deliver.AskPatience[len(deliver.AskPatience)-1])
		var list wire.List[wire.Job]
		err := c.Get(ask, addr, "/v1/jobs", &list)
		cancel()
		if err != nil {
			silent = errors.Join(silent, fmt.Errorf("jobs of %s: %w", addr, err))
			continue
		}
		for _, j := range list.Items {
			jobs = append(jobs, HostJob{Uploader: addr, Job: j})
		}
	}
	slices.SortStableFunc(jobs, func(a, b HostJob) int { return b.Started.Compare(a.Started) })
	return jobs, silent
}

// CancelJob cancels a job, wherever it runs. An upload that was resumed elsewhere has
// jobs at several uploaders, of which at most one goes on.
func (c *Cluster) CancelJob(ctx context.Context, id vstack.UploadID) (wire.Job, error) {
	jobs, silent := c.Jobs(ctx)
	var found []HostJob
	for _, j := range jobs {
		if j.Upload == id {
			found = append(found, j)
		}
	}
	if len(found) == 0 {
		return wire.Job{}, console.Hint(errors.Join(fmt.Errorf("job %s: %w", id, vstack.ErrNotFound), silent), "vstack video jobs")
	}
	at := slices.IndexFunc(found, func(j HostJob) bool { return !j.State.Done() })
	if at < 0 {
		return found[0].Job, fmt.Errorf("job %s: %w: it is %s", id, vstack.ErrUploadNotLive, found[0].State)
	}
	var job wire.Job
	err := c.Call(ctx, http.MethodDelete, found[at].Uploader, "/v1/jobs/"+id.String(), nil, &job)
	return job, err
}

// Uploading lists the videos whose upload has not ended.
func (c *Cluster) Uploading(ctx context.Context) (all []vstack.Video, err error) {
	opt := metaclient.ListOptions{State: vstack.VideoUploading}
	for {
		page, err := c.Meta.Videos(ctx, opt)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if opt.Cursor = page.Next; opt.Cursor == "" {
			return all, nil
		}
	}
}
