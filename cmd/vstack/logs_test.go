package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWhatHostsLog of a member that is away for a minute, and of who deleted a film.
func TestWhatHostsLog(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	film := s.upload().String()
	s.reads(patience, 0, []string{"raft", "status", "--wait"}, "1 more member may fail now")
	s.kill("c")
	before := map[string]int{"a": len(s.log("a")), "b": len(s.log("b"))}
	s.reads(patience, 6, []string{"node", "ls"}, "not up: c")
	select { // the rate is what is looked at
	case <-time.After(time.Minute):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
	for _, host := range []string{"a", "b"} {
		lines, beats, of := 0, 0, s.addr("c", "7080")
		for line := range bytes.Lines(s.log(host)[before[host]:]) {
			if bytes.Contains(line, []byte("level=WARN")) || bytes.Contains(line, []byte("level=ERROR")) {
				lines++
			}
			if bytes.Contains(line, []byte("heartbeat")) && bytes.Contains(line, []byte(of)) {
				beats++
			}
		}
		t.Logf("host %s, a minute without c: %d lines of warning or worse, %d of a heartbeat to it", host, lines, beats)
		if beats > 3 || lines > 40 {
			t.Errorf("host %s says too much: %d lines, %d of a heartbeat", host, lines, beats)
		}
	}
	s.start("c")
	s.reads(patience, 0, []string{"raft", "status", "--wait"}, "1 more member may fail now")
	s.types("video", "rm", film, "--yes")
	said := ""
	for _, host := range []string{"a", "b", "c"} {
		for line := range strings.Lines(string(s.log(host))) {
			if strings.Contains(line, film) && strings.Contains(line, "by=admin") && strings.Contains(line, "DELETE") {
				said += host + ": " + line
			}
		}
	}
	if t.Logf("who deleted it:\n%s", said); said == "" {
		t.Error("no host logged who deleted the film")
	}
	s.reads(patience, 0, []string{"events"}, film, "admin")
}

// TestCtrlC in an upload and in a playback says what goes on, and the command that comes back,
// which is typed.
func TestCtrlC(t *testing.T) {
	long(t)
	s := newSite(t)
	s.founded()
	film := clip(t, "8", "20")
	screen := s.interrupted([]string{"video", "upload", film, "--progress", "plain"}, "store …")
	for _, words := range []string{"vstack: interrupted: the file is received, and host", "vstack video cancel", "to come back: vstack video upload --resume " + strings.ReplaceAll(film, s.dir+"/", "")} {
		if !strings.Contains(screen, words) {
			t.Errorf("the screen does not say %q", words)
		}
	}
	said, _ := s.reads(time.Minute, 0, []string{"video", "upload", "--resume", film}, "published")
	id := strings.Fields(strings.Split(said, "\n")[1])[0]

	out := filepath.Join(s.dir, "film.mp4")
	screen = s.interrupted([]string{"video", "play", id, "--speed", "1", "--out", out, "--progress", "plain"}, "play")
	if !strings.Contains(screen, "vstack: interrupted: ") || !strings.Contains(screen, "to come back: vstack video play "+id) {
		t.Error("the screen does not say how to come back")
	}
	s.reads(time.Minute, 0, []string{"video", "play", id, "--out", out, "--force"}, "verified")
}

// interrupted runs a command until it says something, and ends it as Ctrl-C does.
func (s *site) interrupted(args []string, when string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), scenarioTimeout)
	defer cancel()
	cmd := s.command(ctx, s.here, append([]string{"--cluster", filepath.Join(s.dir, "cluster/client")}, args...)...)
	out := &watched{words: when, seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-out.seen:
	case err := <-ended:
		s.Fatalf("it ended before it said %q: %v: %s", when, err, out.text())
	case <-ctx.Done():
		s.Fatalf("it never said %q: %s", when, out.text())
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		s.Fatal(err)
	}
	<-ended
	screen := strings.ReplaceAll(out.text(), s.dir+"/", "")
	s.shows(cmd.ProcessState.ExitCode(), screen, args...)
	return screen
}

// watched is an output that tells when some words have come.
type watched struct {
	words string
	seen  chan struct{}

	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	select {
	case <-w.seen:
	default:
		if strings.Contains(w.buf.String(), w.words) {
			close(w.seen)
		}
	}
	return len(b), nil
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
