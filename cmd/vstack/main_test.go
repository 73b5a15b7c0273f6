package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/jail"
)

// asVstack makes the test binary play the vstack program: the hosts of a test's lab are
// then built with the race detector when the test is. Its name does not start with
// VSTACK_, which a lab keeps from its hosts.
const asVstack = "RUN_AS_VSTACK"

func TestMain(m *testing.M) {
	jail.Enter()
	if os.Getenv(asVstack) == "1" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// scenario is one running lab of a test.
type scenario struct {
	*testing.T
	lab     *lab.Lab
	cluster *cluster.Cluster
	prog    *console.Progress
	began   time.Time
}

// step tells the story: what is reached, and when.
func (s *scenario) step(format string, args ...any) {
	s.Helper()
	s.Logf("%5.1f s  "+format, append([]any{time.Since(s.began).Seconds()}, args...)...)
}

// scenarioTimeout bounds one wait of a scenario. It costs nothing where what is waited for
// comes, and a machine may be starved.
const scenarioTimeout = 3 * time.Minute

// newScenario starts three hosts on a subnet of their own and ends them with the test.
// A data race or a panic in any host fails the test.
func newScenario(t *testing.T) *scenario {
	t.Helper()
	needFFmpeg(t)
	return newScenarioOf(t, lab.Spec{Superblock: 64 << 20})
}

// newScenarioOf is newScenario with a lab of another make.
func newScenarioOf(t *testing.T, spec lab.Spec) *scenario {
	t.Helper()
	spec.Dir, spec.FirstIP = filepath.Join(t.TempDir(), "lab"), loopback.Subnet(t)+".1"
	l, err := lab.Init(spec)
	if err != nil {
		t.Fatal(err)
	}
	l.Env = []string{asVstack + "=1"}
	s := &scenario{T: t, lab: l, prog: console.NewProgress(console.ProgressNone, os.Stderr), began: time.Now()}
	t.Cleanup(s.end)
	ctx, cancel := context.WithTimeout(t.Context(), scenarioTimeout)
	defer cancel()
	if err := l.Start(ctx, os.Args[0]); err != nil {
		t.Fatal(err)
	}
	client, err := config.LoadClient(l.Client, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.cluster, err = cluster.Open(client, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cluster.Close)
	s.step("lab is ready")
	return s
}

func (s *scenario) end() {
	// An orderly end is what the demo's tests look at; here it would only take time.
	for _, h := range s.lab.Hosts {
		if h.Pid() == 0 {
			continue
		}
		if err := h.Kill(); err != nil {
			s.Error(err)
		}
	}
	if err := s.lab.Close(); err != nil {
		s.Error(err)
	}
	for _, h := range s.lab.Hosts {
		log, err := os.ReadFile(h.Log())
		if err != nil {
			s.Error(err)
		}
		for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
			if i := bytes.Index(log, []byte(bad)); i >= 0 {
				s.Errorf("%s: %s", h.ID, log[i:min(len(log), i+4000)])
			}
		}
		if s.Failed() {
			s.Logf("log of %s ends with:\n%s", h.ID, h.LogTail(25))
		}
	}
}

// ready waits until every running host serves and is registered.
func (s *scenario) ready() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), scenarioTimeout)
	defer cancel()
	if err := s.lab.Ready(ctx); err != nil {
		s.Fatal(err)
	}
	s.step("every host is ready")
}

// until polls a condition that only state can meet.
func (s *scenario) until(what string, ok func() bool) {
	s.Helper()
	deadline := time.After(scenarioTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			s.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}

// converged waits until every copy of a video is where it should be, and reads all.
func (s *scenario) converged(id vstack.VideoID) {
	s.Helper()
	var last cluster.VerifyReport
	defer func() {
		if s.Failed() {
			s.Logf("last seen: %+v", last)
		}
	}()
	good := func(deep bool) bool {
		r, err := s.cluster.Verify(s.Context(), s.prog, id, deep)
		last = r
		return err == nil && r.Good == r.Copies && r.Copies >= vstack.Acceptors
	}
	// Repair yields to reads, so ask for the copies before reading them.
	s.until("every copy to be there", func() bool { return good(false) })
	s.until("every copy to be good", func() bool { return good(true) })
	s.step("%d copies of %d chunks are good", last.Good, last.Chunks)
}

// ingest is a host's uploader.
func (s *scenario) ingest(i int) string { return s.lab.Hosts[i].Config.Ingest.Addr }

func needFFmpeg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Fatal("ffmpeg is needed: make deps")
	}
}

// clip has ffmpeg make seconds of H.264 and AAC, the same again loops times over.
func clip(t *testing.T, seconds, loops string) string {
	t.Helper()
	dir := t.TempDir()
	one, out := filepath.Join(dir, "one.mp4"), filepath.Join(dir, "clip.mp4")
	runFFmpeg(t, "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration="+seconds,
		"-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:duration="+seconds,
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-minrate", "6M", "-bufsize", "6M", "-pix_fmt", "yuv420p", "-g", "30", "-c:a", "aac", one)
	runFFmpeg(t, "-stream_loop", loops, "-i", one, "-map", "0", "-c", "copy", out)
	return out
}

func runFFmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", strings.Join(args, " "), err, errOut.String())
	}
	return out.Bytes()
}

// frames are the checksums of every frame of one stream type.
func frames(t *testing.T, file, stream string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(string(runFFmpeg(t, "-i", file, "-map", "0:"+stream, "-c", "copy", "-f", "framemd5", "-"))) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line[strings.LastIndex(line, ",")+1:])
		}
	}
	return out.String()
}

// vstackJSON runs a command in this process against the scenario's cluster.
func (s *scenario) vstackJSON(out any, args ...string) {
	s.Helper()
	var stdout, stderr bytes.Buffer
	code := run(append([]string{"--cluster", s.lab.Client, "--progress", "none", "-o", "json"}, args...), &stdout, &stderr)
	if code != 0 {
		s.Fatalf("vstack %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		s.Fatalf("vstack %s: %v in %s", strings.Join(args, " "), err, stdout.String())
	}
}

// vstackFile runs a command whose -o names a file.
func (s *scenario) vstackFile(args ...string) {
	s.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(append([]string{"--cluster", s.lab.Client, "--progress", "none"}, args...), &stdout, &stderr); code != 0 {
		s.Fatalf("vstack %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
	}
}

// long skips what takes minutes on two cores with the race detector.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: takes minutes; make soak-lab runs it (VSTACK_SOAK=1)")
	}
}
