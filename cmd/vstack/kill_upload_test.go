package main

import (
	"testing"
	"time"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// uploading starts an upload at a host and returns once some chunks are chosen.
func (s *scenario) uploading(host int, file string, chunks int) (done chan wire.Job, failed chan error) {
	s.Helper()
	done, failed = make(chan wire.Job, 1), make(chan error, 1)
	go func() {
		job, err := s.cluster.Upload(s.Context(), s.prog, file, cluster.UploadOptions{Uploader: s.ingest(host), Patience: 5 * time.Second})
		if err != nil {
			failed <- err
			return
		}
		done <- job
	}()
	s.until("chunks to be chosen", func() bool {
		var jobs wire.List[wire.Job]
		err := s.cluster.Get(s.Context(), s.ingest(host), "/v1/jobs", &jobs)
		return err == nil && len(jobs.Items) == 1 && jobs.Items[0].Chunks >= chunks
	})
	return done, failed
}

func TestUploadGoesOnWhenAHostIsKilled(t *testing.T) {
	s := newScenario(t)
	file := clip(t, "8", "4")
	done, failed := s.uploading(0, file, 3)
	if err := s.lab.Hosts[2].Kill(); err != nil {
		t.Fatal(err)
	}
	s.step("a host is killed")
	var job wire.Job
	select {
	case job = <-done:
	case err := <-failed:
		t.Fatal(err)
	}
	s.step("published: %d chunks", job.Chunks)
	m, err := s.cluster.Meta.Manifest(t.Context(), job.Video)
	if err != nil {
		t.Fatal(err)
	}
	// Read while the host is still away: two of three hold everything.
	r, err := s.cluster.Play(t.Context(), s.prog, m, "", quicclient.PlayOptions{})
	if err != nil || r.Verified != r.Total || r.Total < 10 {
		t.Fatalf("played %d of %d, %v", r.Verified, r.Total, err)
	}
	s.step("played")
	if err := s.lab.Hosts[2].Start(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.converged(job.Video)
	if job.Bytes < r.Bytes {
		t.Errorf("job says %d bytes were sent, the manifest has %d", job.Bytes, r.Bytes)
	}
	var info videoInfo
	s.vstackJSON(&info, "video", "info", job.Video.String())
	if info.State != vstack.VideoPublished || info.HostsCan < 1 {
		t.Errorf("info: %+v", info)
	}
}
