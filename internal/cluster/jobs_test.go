package cluster

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestAJobIsCanceledWhereItRuns(t *testing.T) {
	running, ended := vstack.UploadID{1}, vstack.UploadID{2}
	state := wire.JobRunning
	first, at1 := against(t, func(w http.ResponseWriter, r *http.Request) {
		// It had the job once; another host resumed it.
		_ = json.NewEncoder(w).Encode(wire.List[wire.Job]{Items: []wire.Job{{Upload: running, State: wire.JobFailed}, {Upload: ended, State: wire.JobPublished}}})
		if r.Method != http.MethodGet {
			t.Errorf("%s at the wrong host", r.Method)
		}
	})
	c, at2 := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && r.URL.Path == "/v1/jobs/"+running.String() {
			state = wire.JobCanceled
			_ = json.NewEncoder(w).Encode(wire.Job{Upload: running, State: state})
			return
		}
		_ = json.NewEncoder(w).Encode(wire.List[wire.Job]{Items: []wire.Job{{Upload: running, State: state}}})
	})
	_ = first
	c.cfg = &config.Client{Uploaders: []string{at1, at2, "127.0.0.1:1"}}
	jobs, silent := c.Jobs(t.Context())
	if len(jobs) != 3 || !errors.Is(silent, vstack.ErrUnavailable) {
		t.Errorf("jobs %+v, silent %v", jobs, silent)
	}
	if j, err := c.CancelJob(t.Context(), running); err != nil || j.State != wire.JobCanceled || state != wire.JobCanceled {
		t.Errorf("%+v, %v", j, err)
	}
	if _, err := c.CancelJob(t.Context(), ended); !errors.Is(err, vstack.ErrUploadNotLive) {
		t.Errorf("an ended job: %v", err)
	}
	if _, err := c.CancelJob(t.Context(), vstack.UploadID{9}); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("no such job: %v", err)
	}
}
