package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/demo"
	"github.com/vstack/vstack/internal/loopback"
)

// runDemo runs `vstack demo --once` as a process of its own.
func runDemo(t *testing.T, tmp string, args ...string) demo.Result {
	t.Helper()
	needFFmpeg(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"demo", "--once", "-o", "json", "--progress", "plain"}, args...)...)
	cmd.Env = append(os.Environ(), asVstack+"=1", "TMPDIR="+tmp)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("demo: %v\n%s", err, errOut.String())
	}
	var res demo.Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatalf("demo printed %q: %v", out.String(), err)
	}
	return res
}

// processesIn lists the processes whose command line names dir.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range lines {
		body, err := os.ReadFile(f)
		if err == nil && bytes.Contains(body, []byte(dir)) {
			out = append(out, f+": "+strings.ReplaceAll(string(body), "\x00", " "))
		}
	}
	return out
}

func TestDemoPlaysVerifiedAndLeavesNothingBehind(t *testing.T) {
	tmp := t.TempDir()
	res := runDemo(t, tmp, "--first-ip", loopback.Subnet(t)+".1")
	if res.Playback.Total < 8 || res.Playback.Verified != res.Playback.Total {
		t.Errorf("verified %d of %d chunks", res.Playback.Verified, res.Playback.Total)
	}
	if res.Found || res.Upload == nil || res.Video.Duration < 20 {
		t.Errorf("video: %+v", res.Video)
	}
	// Picture, sound, a poster and tiles.
	if len(res.Tracks) != 4 || res.Copies.Unreadable != 0 || res.Raft.Leader == "" || res.HostsCanFail < 1 {
		t.Errorf("summary lacks something: %+v", res)
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v %v", left, err)
	}
	if p := processesIn(t, tmp); len(p) > 0 {
		t.Errorf("left running: %v", p)
	}
}

func TestDemoFindsItsVideosAgain(t *testing.T) {
	long(t)
	dir, file := filepath.Join(t.TempDir(), "lab"), clip(t, "4", "0")
	first := runDemo(t, t.TempDir(), "--dir", dir, "--first-ip", loopback.Subnet(t)+".1", file)
	second := runDemo(t, t.TempDir(), "--dir", dir, file)
	if !second.Found || second.Upload != nil || second.Video.ID != first.Video.ID || second.Videos != 1 {
		t.Errorf("second start: %+v", second.Video)
	}
	if second.Playback.Verified != first.Playback.Total {
		t.Errorf("verified %d chunks, stored %d", second.Playback.Verified, first.Playback.Total)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("--dir stays: %v", err)
	}
}

func TestDemoKilledLeavesNoProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	cmd := exec.Command(os.Args[0], "demo", "--dir", dir, "--first-ip", loopback.Subnet(t)+".1", clip(t, "1", "0"))
	cmd.Env = append(os.Environ(), asVstack+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	poll(t, "three hosts", func() bool { return len(processesIn(t, filepath.Join(dir, "hosts"))) == 3 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	poll(t, "hosts to die with the demo", func() bool { return len(processesIn(t, filepath.Join(dir, "hosts"))) == 0 })
}

// poll waits for a condition outside of a scenario.
func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(scenarioTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}
