package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// site is hosts as an operator has them: a directory where the authority is, and one for each
// host, in which a process of its own runs.
type site struct {
	*testing.T
	dir, net string
	actions  int // that a person typed
	running  map[string]*exec.Cmd
}

func newSite(t *testing.T) *site {
	t.Helper()
	needFFmpeg(t)
	s := &site{T: t, dir: t.TempDir(), net: loopback.Subnet(t) + ".", running: map[string]*exec.Cmd{}}
	t.Cleanup(func() {
		for host := range s.running {
			s.stop(host)
		}
	})
	return s
}

// types runs a command as a person types it, and counts it.
func (s *site) types(args ...string) string {
	s.Helper()
	s.actions++
	code, out, errOut := try(append([]string{"--cluster", filepath.Join(s.dir, "cluster/client"), "--progress", "none"}, args...)...)
	if code != 0 {
		s.Fatalf("vstack %s: exit %d: %s%s", strings.Join(args, " "), code, out, errOut)
	}
	s.Logf("$ vstack %s\n%s%s", strings.Join(args, " "), out, errOut)
	return out + errOut
}

func (s *site) host(name string) string { return filepath.Join(s.dir, name) }
func (s *site) bundle(name string) string {
	return filepath.Join(s.dir, "cluster/bundles", name+".tar.gz")
}

// joins is `vstack lab join` on a host; systemd would start it then.
func (s *site) joins(name string) string {
	s.Helper()
	said := s.types("lab", "join", s.bundle(name), "--dir", s.host(name))
	if s.running[name] == nil {
		s.start(name)
	}
	return said
}

func (s *site) start(name string) {
	s.Helper()
	log, err := os.OpenFile(s.host(name)+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0], "server", "--config", filepath.Join(s.host(name), "vstack.yaml"), "--set", "data.superblock=64MiB")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), asVstack+"=1"), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.running[name] = cmd
}

func (s *site) stop(name string) {
	s.Helper()
	cmd := s.running[name]
	delete(s.running, name)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.Error(err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.Error(err)
	}
}

// until types a command again until it goes well.
func (s *site) until(args ...string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), scenarioTimeout)
	defer cancel()
	for {
		code, out, errOut := try(append([]string{"--cluster", filepath.Join(s.dir, "cluster/client"), "--progress", "none"}, args...)...)
		if code == 0 {
			s.actions++
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("vstack %s: exit %d: %s%s", strings.Join(args, " "), code, out, errOut)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *site) founded() {
	s.Helper()
	s.types("lab", "init", "--hosts", "a="+s.net+"1,b="+s.net+"2,c="+s.net+"3", "--out", filepath.Join(s.dir, "cluster"))
	for _, name := range []string{"a", "b", "c"} {
		s.joins(name)
	}
}

func (s *site) upload() vstack.VideoID {
	s.Helper()
	film := clip(s.T, "3", "0")
	s.until("video", "upload", film)
	_, out, _ := try("--cluster", filepath.Join(s.dir, "cluster/client"), "video", "ls", "-o", "json")
	var list wire.List[vstack.Video]
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Items) != 1 {
		s.Fatalf("%d films, %v", len(list.Items), err)
	}
	return list.Items[0].ID
}

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
	s.until("raft", "add", "b", "--raft", s.net+"9:7080", "--api", s.net+"9:8080")

	s.types("lab", "add", "d="+s.net+"4", "--dir", cluster)
	s.joins("d")
	s.types("lab", "promote", "d", "--dir", cluster)
	s.joins("d")
	s.stop("d")
	s.start("d")
	s.until("raft", "add", "d", "--raft", s.net+"4:7080", "--api", s.net+"4:8080")
	s.until("raft", "status", "--wait")
	s.until("video", "verify", id.String(), "--deep")
	s.until("status")
}

// waitLog waits for what a host says of files that it reads by itself; nothing else tells it.
func (s *site) waitLog(host, text string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), scenarioTimeout)
	defer cancel()
	for {
		log, err := os.ReadFile(s.host(host) + ".log")
		if err != nil {
			s.Fatal(err)
		}
		if bytes.Contains(log, []byte(text)) {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("host %s never said %q", host, text)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
