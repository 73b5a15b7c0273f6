package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// otherBinary names a program that scenarios of operators run in place of this one: what an
// older one did is seen by the same test, which fails then and prints the screens.
const otherBinary = "VSTACK_BINARY"

// site is hosts as an operator has them: a directory where the authority is, and one for each
// host, in which a process of its own runs.
type site struct {
	*testing.T
	dir, net string
	began    time.Time
	program  string   // that is typed
	hosts    []string // what hosts run in, and here what commands do: nothing, or namespaces
	here     []string
	env      []string
	sets     []string // keys of every host's configuration
	actions  int      // that a person typed
	running  map[string]*exec.Cmd
}

// newSite has hosts with small files and the given keys.
func newSite(t *testing.T, sets ...string) *site {
	t.Helper()
	needFFmpeg(t)
	s := &site{T: t, dir: t.TempDir(), net: loopback.Subnet(t) + ".", began: time.Now(), running: map[string]*exec.Cmd{},
		program: os.Args[0], env: append(os.Environ(), asVstack+"=1"), sets: append([]string{"data.superblock=64MiB"}, sets...)}
	if other := os.Getenv(otherBinary); other != "" {
		s.program, s.env = other, os.Environ()
	}
	// What the scenarios say is theirs alone; a shell may have a cluster of its own.
	s.env = slices.DeleteFunc(s.env, func(v string) bool { return strings.HasPrefix(v, "VSTACK_") })
	t.Cleanup(func() {
		for host := range s.running {
			s.kill(host)
		}
		if s.Failed() {
			logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
			for _, log := range logs {
				said, _ := os.ReadFile(log)
				s.Logf("%s ends with:\n%s", filepath.Base(log), said[max(0, len(said)-20000):])
			}
		}
	})
	return s
}

// command is one of the program, with arguments.
func (s *site) command(ctx context.Context, where []string, args ...string) *exec.Cmd {
	all := append(append(slices.Clone(where), s.program), args...)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Env = s.env
	return cmd
}

// runs a command once; what a person reads is both of its outputs.
func (s *site) runs(args ...string) (code int, screen string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), scenarioTimeout)
	defer cancel()
	cmd := s.command(ctx, s.here, append([]string{"--cluster", filepath.Join(s.dir, "cluster/client"), "--progress", "none"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.Fatalf("vstack %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), strings.ReplaceAll(out.String(), s.dir+"/", "")
}

// screenLines are how many of a screen the story keeps.
const screenLines = 24

// shows prints a screen into the story.
func (s *site) shows(code int, screen string, args ...string) {
	s.Helper()
	end := ""
	if code != 0 {
		end = "  → exit " + strconv.Itoa(code)
	}
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	if cut := len(lines) - screenLines; cut > 1 {
		lines = slices.Replace(lines, screenLines/2, screenLines/2+cut, "… and "+strconv.Itoa(cut)+" lines more")
	}
	screen = strings.Join(lines, "\n")
	s.Logf("%5.1f s  $ vstack %s%s\n%s", time.Since(s.began).Seconds(), strings.ReplaceAll(strings.Join(args, " "), s.dir+"/", ""), end, screen)
}

// types runs a command as a person types it, and counts it.
func (s *site) types(args ...string) string {
	s.Helper()
	s.actions++
	code, screen := s.runs(args...)
	s.shows(code, screen, args...)
	if code != 0 {
		s.Fatalf("vstack %s: exit %d", strings.Join(args, " "), code)
	}
	return screen
}

// until types a command again until it goes well.
func (s *site) until(args ...string) string {
	s.Helper()
	screen, ok := s.reads(scenarioTimeout, 0, args)
	if !ok {
		s.FailNow()
	}
	return screen
}

// patience is how long a screen may take to say what it must, where no shorter time is promised.
const patience = 30 * time.Second

// anyExit takes every exit code: doctor warns of machines without NTP, too.
const anyExit = -1

// reads types a command again until its exit code is the given one and its screen has all the
// words, and says so where that does not come.
func (s *site) reads(within time.Duration, want int, args []string, words ...string) (screen string, ok bool) {
	s.Helper()
	s.actions++
	deadline, first := time.Now().Add(within), ""
	for {
		code, screen := s.runs(args...)
		if first == "" {
			first = screen
		}
		missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(screen, w) })
		if (code == want || want == anyExit) && len(missing) == 0 {
			s.shows(code, screen, args...)
			return screen, true
		}
		if time.Now().After(deadline) || code == console.ExitUsage { // which does not pass
			if first != screen {
				s.Logf("it first said:\n%s", first)
			}
			s.shows(code, screen, args...)
			s.Errorf("vstack %s: exit %d, want %d; not said within %s: %q", strings.Join(args, " "), code, want, within, missing)
			return screen, false
		}
		select {
		case <-s.Context().Done():
			s.Fatal(s.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
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

// start starts a host, with more keys or flags for once.
func (s *site) start(name string, more ...string) {
	s.Helper()
	log, err := os.OpenFile(s.host(name)+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	args := []string{"server", "--config", filepath.Join(s.host(name), "vstack.yaml")}
	for _, set := range s.sets {
		args = append(args, "--set", set)
	}
	cmd := s.command(context.Background(), s.hosts, append(args, more...)...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.running[name] = cmd
}

// stop ends a host in order, kill as a power cut does.
func (s *site) stop(name string) { s.Helper(); s.ends(name, syscall.SIGTERM) }
func (s *site) kill(name string) { s.Helper(); s.ends(name, syscall.SIGKILL) }

func (s *site) ends(name string, by syscall.Signal) {
	s.Helper()
	cmd := s.running[name]
	delete(s.running, name)
	if err := cmd.Process.Signal(by); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.Error(err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.Error(err)
	}
}

// founded makes three hosts, each of which serves.
func (s *site) founded(flags ...string) {
	s.Helper()
	s.types(append([]string{"lab", "init", "--hosts", "a=" + s.net + "1,b=" + s.net + "2,c=" + s.net + "3", "--out", filepath.Join(s.dir, "cluster")}, flags...)...)
	for _, name := range []string{"a", "b", "c"} {
		s.joins(name)
	}
}

// upload stores the first film.
func (s *site) upload() vstack.VideoID {
	s.Helper()
	s.until("video", "upload", clip(s.T, "3", "0"))
	films := s.films()
	if len(films) != 1 {
		s.Fatalf("%d films", len(films))
	}
	id, err := vstack.ParseVideoID(films[0])
	if err != nil {
		s.Fatal(err)
	}
	return id
}

// films are the ids of all.
func (s *site) films() (ids []string) {
	s.Helper()
	_, out := s.runs("video", "ls", "-o", "json")
	var list wire.List[vstack.Video]
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.Fatalf("%v in %s", err, out)
	}
	for _, v := range list.Items {
		ids = append(ids, v.ID.String())
	}
	return ids
}

// waitLog waits for what a host says of files that it reads by itself; nothing else tells it.
func (s *site) waitLog(host, text string) { s.Helper(); s.waitNewLog(host, text, 0) }

// waitNewLog is waitLog of what comes after the first bytes.
func (s *site) waitNewLog(host, text string, after int) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), scenarioTimeout)
	defer cancel()
	for !bytes.Contains(s.log(host)[after:], []byte(text)) {
		select {
		case <-ctx.Done():
			s.Fatalf("host %s never said %q", host, text)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *site) log(host string) []byte {
	s.Helper()
	log, err := os.ReadFile(s.host(host) + ".log")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Fatal(err)
	}
	return log
}

// lose deletes what a host has at a path.
func (s *site) lose(host, path string) {
	s.Helper()
	if _, err := os.Stat(filepath.Join(s.host(host), path)); err != nil {
		s.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.host(host), path)); err != nil {
		s.Fatal(err)
	}
	s.Logf("%5.1f s  # host %s loses %s", time.Since(s.began).Seconds(), host, path)
}
