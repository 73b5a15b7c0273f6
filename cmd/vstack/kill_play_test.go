package main

import (
	"errors"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/quicclient"
)

func TestPlaybackGoesOnWhenAHostIsKilled(t *testing.T) {
	s := newScenario(t)
	job, err := s.cluster.Upload(t.Context(), s.prog, clip(t, "8", "4"), cluster.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.step("published: %d chunks", job.Chunks)
	m, err := s.cluster.Meta.Manifest(t.Context(), job.Video)
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := s.cluster.Chunks("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := chunks.Close(); err != nil {
			t.Error(err)
		}
	}()
	victim := -1
	var killed error
	r, err := chunks.Play(t.Context(), m, quicclient.PlayOptions{
		Speed: 12, Buffer: 6 * time.Second,
		OnEvent: func(e quicclient.Event) {
			if e.Kind != quicclient.EventChunk || e.Done < 5 || victim >= 0 {
				return
			}
			// The host that has just served is the one that the policy likes.
			for i, h := range s.lab.Hosts {
				for _, sig := range chunks.Stores() {
					if sig.Store == e.Chunk.Store && sig.Host == h.ID {
						victim = i
					}
				}
			}
			if victim < 0 {
				killed = errors.New("no host served")
				victim = 0
				return
			}
			killed = s.lab.Hosts[victim].Kill()
		},
	})
	if err != nil || killed != nil {
		t.Fatalf("playback: %v, kill: %v", err, killed)
	}
	if r.Verified != r.Total || r.Total < 10 || victim < 0 {
		t.Errorf("played %d of %d with %d killed", r.Verified, r.Total, victim)
	}
	if r.Played < r.Media-0.1 {
		t.Errorf("position came to %.1f of %.1f s", r.Played, r.Media)
	}
	t.Logf("%s killed: %d retries, %d stalls of %.2f s together", s.lab.Hosts[victim].ID, r.Retries, r.Stalls, r.StallTime)

	s.step("played")
	if err := s.lab.Hosts[victim].Start(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.converged(job.Video)
}
