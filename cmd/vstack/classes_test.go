package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestAFilmGoesColdAndHotAgain chooses a scheme for which groups are widened first, and pins a film
// cold on three hosts of two stores: it takes three halves of its size, and every byte comes back while a host, and so two stores, is killed.
// Then it goes back to three copies. Stores look every few seconds for what may go, so that
// this takes a minute.
func TestAFilmGoesColdAndHotAgain(t *testing.T) {
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Stores: 2, Superblock: 64 << 20, DropGrace: time.Second})
	file := clip(t, "4", "1")
	var jobs wire.List[wire.Job]
	s.vstackJSON(&jobs, "video", "upload", file, "--title", "film", "--keep-original")
	id := jobs.Items[0].Video
	s.converged(id)

	var policy vstack.RedundancyPolicy
	s.vstackJSON(&policy, "redundancy", "policy", "--scheme", "4+2")
	var v vstack.Video
	s.vstackJSON(&v, "video", "pin", id.String(), "cold", "--head", "0", "--small", "0", "--wait")
	if v.Class != vstack.ClassCold || v.Layout.Scheme != policy.Layout.Scheme {
		t.Fatalf("pinned: %+v", v)
	}
	s.step("cold")
	s.copiesLeft(id, 0)
	s.converged(id)
	s.threeHalves(id)
	s.gives(id, file, "cold")
	if err := s.lab.Hosts[1].Kill(); err != nil {
		t.Fatal(err)
	}
	s.step("a host with two stores is killed")
	s.gives(id, file, "cold, with a host killed")
	if err := s.lab.Hosts[1].Start(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.vstackJSON(&v, "video", "pin", id.String(), "hot", "--wait")
	if v.Class != vstack.ClassHot {
		t.Fatalf("pinned: %+v", v)
	}
	s.step("hot")
	s.converged(id)
	s.gives(id, file, "hot again")
	var info struct {
		vstack.Video
		StoresCan int `json:"stores_can_fail"`
	}
	s.vstackJSON(&info, "video", "info", id.String())
	if info.Class != vstack.ClassHot || info.StoresCan != 2 {
		t.Errorf("info: %+v", info)
	}
}

// gives wants the very bytes of the kept original.
func (s *scenario) gives(id vstack.VideoID, file, when string) {
	s.Helper()
	out := filepath.Join(s.TempDir(), "original.mp4")
	s.vstackFile("video", "export", id.String(), "--original", "-o", out)
	want, err := os.ReadFile(file)
	if err != nil {
		s.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(want, got) {
		s.Errorf("%s: %d and %d bytes differ, %v", when, len(want), len(got), err)
	}
	s.step("%s: every byte is equal", when)
}

// copiesLeft waits until stores hold no more copies of a video's chunks, init chunks apart.
func (s *scenario) copiesLeft(id vstack.VideoID, want int) {
	s.Helper()
	m, err := s.cluster.Meta.Manifest(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	chunks := map[vstack.ChunkID]bool{}
	for slot, ref := range m.Slots {
		if slot.Seq > 0 {
			chunks[ref.ID] = true
		}
	}
	s.until("copies to go", func() bool {
		n := 0
		for _, h := range s.lab.Hosts {
			for _, st := range h.Config.Data.Stores {
				var page wire.List[wire.InventoryItem]
				if err := s.cluster.Get(s.Context(), st.Addr, "/v1/inventory?limit=4096", &page); err != nil {
					return false
				}
				for _, item := range page.Items {
					if chunks[item.Chunk] && item.Piece.IsChunk() {
						n++
					}
				}
			}
		}
		return n == want
	})
	s.step("%d copies are left", want)
}

// threeHalves holds the bytes of the fragments to that part of the video, and a hundredth.
func (s *scenario) threeHalves(id vstack.VideoID) {
	s.Helper()
	at, err := s.cluster.Meta.VideoPlacement(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	var whole, held int64
	for _, slot := range at.Slots {
		if slot.Scheme.IsZero() {
			continue
		}
		whole += int64(slot.Chunk.Size)
		held += int64(len(slot.Holders)) * int64(slot.Scheme.FragmentSize(slot.Chunk.Size))
	}
	if ratio := float64(held) / float64(whole); whole == 0 || ratio > 1.5*1.01 {
		s.Errorf("%d bytes in fragments of %d: %.3f times", whole, held, ratio)
	} else {
		s.step("%d bytes lie in %d: %.3f times", whole, held, ratio)
	}
}
