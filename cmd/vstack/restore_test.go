package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/console"
)

// TestABackupIsRestored after all members lost their directories: while no store is asked
// nothing is said to be lost, and with the stores every film of the backup is verified, byte by
// byte, after a further start. It is small enough for every run of CI, so that no backup is
// trusted which nobody has restored.
func TestABackupIsRestored(t *testing.T) {
	s := newSite(t)
	s.founded()
	s.upload()
	s.until("video", "upload", clip(t, "2", "0"))
	films := s.films()
	backup := filepath.Join(s.dir, "catalog.bak")
	s.types("raft", "snapshot", "save", backup)
	hosts := []string{"a", "b", "c"}
	for _, host := range hosts {
		s.kill(host)
		s.lose(host, "meta")
	}
	for _, host := range hosts {
		s.start(host, "--roles", "meta")
	}
	s.reads(scenarioTimeout, 0, []string{"raft", "status"}, "1 more member may fail now")
	s.restored(backup, len(films))
	for _, host := range hosts { // and with their stores, as ever
		s.stop(host)
		s.start(host)
	}
	s.reads(scenarioTimeout, 0, []string{"raft", "status", "--wait"}, "1 more member may fail now")
	s.reads(scenarioTimeout, 0, []string{"raft", "snapshot", "check"}, "0 are lost")
	for _, film := range films {
		s.reads(scenarioTimeout, 0, []string{"video", "verify", film, "--deep"}, "good")
	}
	s.reads(scenarioTimeout, 0, []string{"video", "check"}, "0 are lost")
	s.reads(scenarioTimeout, 0, []string{"video", "play", films[0]}, "verified")
	s.until("video", "upload", clip(t, "2", "0"))
	if got := len(s.films()); got != len(films)+1 {
		t.Errorf("%d films, want %d", got, len(films)+1)
	}
}

// restored types the restore until it is done: a leader may go meanwhile, and then it is there
// although nobody could say so.
func (s *site) restored(backup string, films int) {
	s.Helper()
	args := []string{"raft", "snapshot", "restore", backup, "--yes", "--check"}
	there := fmt.Sprintf("already exists: the catalog holds %d videos", films)
	for deadline := time.Now().Add(scenarioTimeout); ; {
		code, screen := s.runs(args...)
		s.shows(code, screen, args...)
		switch {
		case code == console.ExitAgain && strings.Contains(screen, "no store answered"), strings.Contains(screen, there):
			return
		case code != console.ExitAgain && code != console.ExitNoQuorum || time.Now().After(deadline):
			s.Fatalf("restore: exit %d, want %d, and that no store answered", code, console.ExitAgain)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
