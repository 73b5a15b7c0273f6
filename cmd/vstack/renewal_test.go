package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestBundlesForHostsThatRenewThemselves: certificates are good for 30 seconds, and a bundle is
// older than what the host has by the time it comes there.
func TestBundlesForHostsThatRenewThemselves(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded("--cert-life", "30s")
	s.upload()
	cluster := filepath.Join(s.dir, "cluster")
	s.types("lab", "renew", cluster)
	s.waitNewLog("b", "this host's certificate is renewed", len(s.log("b")))
	if said := s.joins("b"); !strings.Contains(said, "the host has renewed it since the bundle was packed") {
		t.Errorf("a late bundle: %s", said)
	}
	s.reads(patience, 0, []string{"status"}, "every store is up")

	s.types("lab", "set-address", "b", s.net+"9", "--dir", cluster)
	s.types("raft", "remove", "b", "--yes")
	s.stop("b")
	s.joins("b")
	s.types("raft", "add", "b", "--raft", s.net+"9:7080", "--api", s.net+"9:8080")
	s.waitLog("b", "raft member of cluster")
	s.reads(patience, 0, []string{"status"}, "every store is up")
}
