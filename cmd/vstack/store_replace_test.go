package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestStoresAreReplacedUnderAnUpload has an operator replace a store while an upload
// runs, and then loses a store's directory: the roles move, uploads go on, and every
// copy is where it should be afterwards.
func TestStoresAreReplacedUnderAnUpload(t *testing.T) {
	long(t)
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Stores: 3, Superblock: 64 << 20, DeadAfter: time.Second})
	file := clip(t, "8", "2")
	done, failed := s.uploading(0, file, 2)
	given := s.storeAt(s.lab.Hosts[2].Config.Data.Stores[0].Addr)
	if s.roles(given.ID) == 0 {
		t.Fatal("the store has no role to give up")
	}
	var replaced struct{ Groups, Left int }
	s.vstackJSON(&replaced, "store", "replace", given.Addr, "--wait", "--yes")
	s.step("a store gave up its part in %d groups", replaced.Groups)
	if n := s.roles(given.ID); n != 0 || replaced.Groups == 0 || replaced.Left != 0 {
		t.Errorf("replaced: %+v, and it still has %d roles", replaced, n)
	}
	first := s.published(done, failed)

	// Another store loses its disk: what comes back in its place is a new store, and the
	// old one's roles move when it has been silent for long enough.
	done, failed = s.uploading(2, file, 1)
	host := s.lab.Hosts[1]
	lost := s.storeAt(host.Config.Data.Stores[0].Addr)
	roles := s.roles(lost.ID)
	if err := host.Kill(); err != nil {
		t.Fatal(err)
	}
	dir := host.Config.Data.Stores[0].Dir
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	s.ready()
	s.step("a store with %d roles lost its directory", roles)
	s.until("the roles of the lost store to move", func() bool { return s.roles(lost.ID) == 0 })
	if fresh := s.storeAt(lost.Addr); fresh.ID == lost.ID || roles == 0 {
		t.Errorf("store %s had %d roles and came back as %s", lost.ID, roles, fresh.ID)
	}
	s.step("its roles have moved")
	second := s.published(done, failed)
	s.converged(first)
	s.converged(second)
}

// published waits for an upload that must not fail.
func (s *scenario) published(done chan wire.Job, failed chan error) vstack.VideoID {
	s.Helper()
	select {
	case job := <-done:
		s.step("published: %d chunks", job.Chunks)
		return job.Video
	case err := <-failed:
		s.Fatal(err)
	case <-time.After(scenarioTimeout):
		s.Fatal("the upload does not end")
	}
	return vstack.VideoID{}
}

// storeAt is the store that answers at an address now.
func (s *scenario) storeAt(addr string) vstack.Store {
	s.Helper()
	var found vstack.Store
	s.until("a store at "+addr, func() bool {
		var st wire.StoreStatus
		if err := s.cluster.Get(s.Context(), addr, "/v1/store", &st); err != nil {
			return false
		}
		m, err := s.cluster.Meta.RefreshPlacement(s.Context())
		if err != nil {
			return false
		}
		var ok bool
		found, ok = m.Store(st.Report.ID)
		return ok
	})
	return found
}

// roles counts the groups that have a store among their targets, or will.
func (s *scenario) roles(id vstack.StoreID) (n int) {
	s.Helper()
	m, err := s.cluster.Meta.RefreshPlacement(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	for _, g := range m.Groups {
		if g.Index(id) >= 0 || g.Next != nil && slices.Contains(g.Next.Targets, id) {
			n++
		}
	}
	return n
}
