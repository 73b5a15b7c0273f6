package main

import (
	"testing"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

func TestEverythingIsThereAfterAllHostsWereKilled(t *testing.T) {
	s := newScenario(t)
	job, err := s.cluster.Upload(t.Context(), s.prog, clip(t, "4", "1"), cluster.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.cluster.Meta.Manifest(t.Context(), job.Video)
	if err != nil {
		t.Fatal(err)
	}
	stores := s.storeIDs()
	for _, h := range s.lab.Hosts {
		if err := h.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range s.lab.Hosts {
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
	}
	s.ready()
	after, err := s.cluster.Meta.Manifest(t.Context(), job.Video)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Tracks) != len(after.Tracks) || before.Tracks[0].Init.ID != after.Tracks[0].Init.ID {
		t.Error("the manifest changed")
	}
	for id := range s.storeIDs() {
		if !stores[id] {
			t.Errorf("store %s is new: its directory was not recognised", id)
		}
	}
	r, err := s.cluster.Play(t.Context(), s.prog, after, "", quicclient.PlayOptions{})
	if err != nil || r.Verified != r.Total {
		t.Errorf("played %d of %d, %v", r.Verified, r.Total, err)
	}
	s.converged(job.Video)
	if _, err := s.cluster.Upload(t.Context(), s.prog, clip(t, "2", "0"), cluster.UploadOptions{}); err != nil {
		t.Errorf("a new upload after the restart: %v", err)
	}
}

func (s *scenario) storeIDs() map[vstack.StoreID]bool {
	s.Helper()
	m, err := s.cluster.Meta.RefreshPlacement(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	out := map[vstack.StoreID]bool{}
	for _, st := range m.Stores {
		out[st.ID] = true
	}
	return out
}
