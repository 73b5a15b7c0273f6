package main

import (
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

func TestKilledUploaderIsResumedElsewhere(t *testing.T) {
	s := newScenario(t)
	file := clip(t, "8", "4")
	done, failed := s.uploading(0, file, 5)
	if err := s.lab.Hosts[0].Kill(); err != nil {
		t.Fatal(err)
	}
	s.step("the uploader's host is killed")
	select {
	case job := <-done:
		t.Fatalf("the upload ended before its host was killed: %+v", job)
	case err := <-failed:
		if !errors.Is(err, vstack.ErrUnavailable) {
			t.Errorf("the client should say that the uploader is gone: %v", err)
		}
	}
	job, err := s.cluster.Upload(t.Context(), s.prog, file, cluster.UploadOptions{Resume: true, Uploader: s.ingest(1)})
	if err != nil {
		t.Fatal(err)
	}
	s.step("resumed and published: %d chunks, %d found chosen", job.Chunks, job.Reused)
	m, err := s.cluster.Meta.Manifest(t.Context(), job.Video)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	var chunks int
	for _, ref := range m.Slots {
		size += int64(ref.Size)
		chunks++
	}
	// What was chosen before the kill is found, not sent again.
	if job.Reused < 4 || job.Skipped == 0 {
		t.Errorf("reused %d chunks, %d bytes", job.Reused, job.Skipped)
	}
	if job.Bytes+job.Skipped != size || job.Chunks != chunks {
		t.Errorf("sent %d and skipped %d bytes of %d, %d of %d chunks", job.Bytes, job.Skipped, size, job.Chunks, chunks)
	}
	r, err := s.cluster.Play(t.Context(), s.prog, m, "", quicclient.PlayOptions{})
	if err != nil || r.Verified != r.Total {
		t.Errorf("played %d of %d, %v", r.Verified, r.Total, err)
	}
	if err := s.lab.Hosts[0].Start(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.converged(job.Video)
	// The old process finds its upload published and does not disturb it.
	videos, err := s.cluster.Videos(t.Context(), "", 0)
	if err != nil || len(videos) != 1 || videos[0].State != vstack.VideoPublished {
		t.Errorf("videos: %+v, %v", videos, err)
	}
}
