package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// TestHostsComeAndGo takes a cluster from three hosts to five, then to four and to three, by
// the commands that an operator gives, with the disks of each host that left deleted: the new
// ones are filled, films play and are stored all the while, and nothing is left behind.
func TestHostsComeAndGo(t *testing.T) {
	long(t)
	needFFmpeg(t)
	s := newScenarioOf(t, lab.Spec{Stores: 2, Superblock: 64 << 20})
	film, err := s.cluster.Upload(t.Context(), s.prog, clip(t, "8", "3"), cluster.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	end := s.busy(film.Video)

	for i, id := range []vstack.HostID{"h4", "h5"} {
		addr := s.lab.Hosts[0].Addr()
		at := addr[:strings.LastIndex(addr, ".")+1] + []string{"4", "5"}[i]
		h, err := s.lab.Add(lab.HostSpec{ID: id, Addr: at}, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		self, _ := h.Config.Self()
		s.until("host "+string(id)+" to join", func() bool {
			return s.vstackTry("raft", "add", string(id), "--raft", self.Raft, "--api", self.API) == nil
		})
	}
	s.until("the new stores to register", func() bool { return len(s.stores()) == 10 })
	// Nobody orders it: it begins once nothing has moved for a minute.
	s.until("the new hosts to be filled", func() bool {
		var r wire.BalanceReport
		s.vstackJSON(&r, "rebalance", "--plan")
		return r.State == vstack.BalanceIdle && r.Groups == 0
	})
	for _, st := range s.stores() {
		if n := s.roles(st.ID); n != 64 { // 128 groups of 5 targets on 10 stores
			t.Errorf("store %s on %s has %d roles, want 64", st.ID, st.Host, n)
		}
	}
	s.step("two hosts joined and are filled")

	for _, id := range []string{"h2", "h4"} {
		s.leaves(id)
	}
	if err := s.vstackTry("node", "decommission", "h5", "--yes"); err == nil || !strings.Contains(err.Error(), string(vstack.ErrNoTaker.Code())) {
		t.Errorf("one of three is to leave: %v", err)
	}
	s.until("what was just stored to be known to be held", func() bool { return s.vstackTry("node", "ok-to-stop", "h5") == nil })
	plays, uploads := end()
	s.step("%d playbacks and %d uploads beside it", plays, uploads)
	s.converged(film.Video)
}

// leaves decommissions a host, stops it, deletes its disks and forgets it.
func (s *scenario) leaves(id string) {
	s.Helper()
	h := s.host(id)
	s.vstackJSON(nil, "node", "decommission", id, "--yes")
	s.step("host %s is empty", id)
	if err := h.Stop(); err != nil {
		s.Fatal(err)
	}
	dirs := []string{h.Config.Meta.Dir}
	for _, st := range h.Config.Data.Stores {
		dirs = append(dirs, st.Dir)
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			s.Fatal(err)
		}
	}
	s.until("host "+id+" to be forgotten", func() bool { return s.vstackTry("node", "rm", id, "--yes") == nil })
	for _, st := range s.stores() {
		if string(st.Host) == id {
			s.Errorf("store %s of %s is still listed", st.ID, id)
		}
	}
	var st wire.RaftStatus
	s.vstackJSON(&st, "raft", "status")
	for _, p := range st.Peers {
		if p.ID == id {
			s.Errorf("%s is still a member", id)
		}
	}
}

func (s *scenario) host(id string) *lab.Host {
	s.Helper()
	for _, h := range s.lab.Hosts {
		if string(h.ID) == id {
			return h
		}
	}
	s.Fatalf("the lab has no host %s", id)
	return nil
}

// stores are those that the catalog lists.
func (s *scenario) stores() (out []vstack.Store) {
	s.Helper()
	var nodes wire.List[wire.Node]
	s.vstackJSON(&nodes, "node", "ls")
	for _, n := range nodes.Items {
		for _, st := range n.Stores {
			out = append(out, st.Store)
		}
	}
	return out
}

// vstackTry runs a command that may fail.
func (s *scenario) vstackTry(args ...string) error {
	var stdout, stderr bytes.Buffer
	if code := run(append([]string{"--cluster", s.lab.Client, "--progress", "none", "-o", "json"}, args...), &stdout, &stderr); code != 0 {
		return &tried{code, stderr.String()}
	}
	return nil
}

type tried struct {
	code int
	said string
}

func (t *tried) Error() string { return t.said }

// busy plays a film and stores others until end, and fails the test at the first that fails.
func (s *scenario) busy(film vstack.VideoID) (end func() (plays, uploads int64)) {
	s.Helper()
	m, err := s.cluster.Meta.Manifest(s.Context(), film)
	if err != nil {
		s.Fatal(err)
	}
	other := clip(s.T, "2", "1")
	ctx, cancel := context.WithCancel(s.Context())
	var plays, uploads atomic.Int64
	done := make(chan struct{}, 2)
	work := func(what string, count *atomic.Int64, once func() error) {
		defer func() { done <- struct{}{} }()
		for ctx.Err() == nil {
			if err := once(); err != nil && ctx.Err() == nil {
				s.Errorf("%s: %v", what, err)
				return
			}
			count.Add(1)
		}
	}
	go work("play", &plays, func() error {
		r, err := s.cluster.Play(ctx, s.prog, m, "", quicclient.PlayOptions{})
		if err == nil && r.Verified != r.Total {
			s.Errorf("%d of %d chunks were verified", r.Verified, r.Total)
		}
		return err
	})
	go work("upload", &uploads, func() error {
		// A host that leaves is not asked: an upload belongs to the host that took it.
		_, err := s.cluster.Upload(ctx, s.prog, other, cluster.UploadOptions{Uploader: s.ingest(0), Patience: 5 * time.Second})
		return err
	})
	return func() (int64, int64) {
		cancel()
		<-done
		<-done
		if plays.Load() == 0 || uploads.Load() == 0 {
			s.Errorf("%d playbacks and %d uploads ended: nothing was shown", plays.Load(), uploads.Load())
		}
		return plays.Load(), uploads.Load()
	}
}
