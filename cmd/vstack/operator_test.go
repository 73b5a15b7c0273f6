package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestThreeHostsByWhatAPersonTypes counts it, from nothing to a playback that was verified: the
// table of docs/deployment.md.
func TestThreeHostsByWhatAPersonTypes(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	if s.actions > 5 {
		t.Errorf("%d actions for a cluster, want 5 at most", s.actions)
	}
	id := s.upload()
	if said := s.types("video", "play", id.String()); !strings.Contains(said, "verified") {
		t.Errorf("playback said %s", said)
	}
	if s.actions > 6 {
		t.Errorf("%d actions, the page says 6", s.actions)
	}
}

// TestAHostIsRenewedMovedAndPromoted, each by what the commands print to be typed next.
func TestAHostIsRenewedMovedAndPromoted(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	id := s.upload()
	cluster := filepath.Join(s.dir, "cluster")
	s.types("lab", "renew", cluster)
	if said := s.joins("b"); !strings.Contains(said, "Replaced:\n  the certificate") || !strings.Contains(said, "without a restart") {
		t.Errorf("renewal said %s", said)
	}
	s.waitLog("b", "new certificates are in use")

	s.types("lab", "set-address", "b", s.net+"9", "--dir", cluster)
	s.until("raft", "remove", "b", "--yes")
	s.stop("b")
	if said := s.joins("b"); !strings.Contains(said, "the address: "+s.net+"9, in place of "+s.net+"2") {
		t.Errorf("move said %s", said)
	}
	s.types("raft", "add", "b", "--raft", s.net+"9:7080", "--api", s.net+"9:8080")

	s.types("lab", "add", "d="+s.net+"4", "--dir", cluster)
	s.joins("d")
	s.types("lab", "promote", "d", "--dir", cluster)
	s.joins("d")
	s.stop("d")
	s.start("d")
	s.types("raft", "add", "d", "--raft", s.net+"4:7080", "--api", s.net+"4:8080")
	s.until("raft", "status", "--wait")
	s.until("video", "verify", id.String(), "--deep")
	s.until("status")
}
