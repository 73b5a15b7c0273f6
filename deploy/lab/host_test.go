package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

// The test binary is also the hosts' program: LAB_TEST says what it plays.
const playEnv = "LAB_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(playEnv) {
	case "host":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "serving as", strings.Join(os.Args[1:], " "))
		<-stop
		fmt.Fprintln(os.Stderr, "orderly end")
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "serving")
		select {}
	case "crash":
		fmt.Fprintln(os.Stderr, "address already in use")
		os.Exit(3)
	case "runner":
		playRunner()
	default:
		goleak.VerifyTestMain(m)
	}
}

// playRunner starts a host, tells its pid and waits to be killed.
func playRunner() {
	l, err := Load(os.Getenv("LAB_TEST_DIR"))
	if err == nil {
		err = l.Hosts[0].start(os.Args[0], []string{playEnv + "=host"})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Hosts[0].Pid())
	select {}
}

func newLab(t *testing.T) *Lab {
	t.Helper()
	l, err := Init(Spec{Dir: t.TempDir(), FirstIP: "127.31.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// run starts a host that plays a part, and waits until its log says so.
func run(t *testing.T, h *Host, play string) {
	t.Helper()
	if err := h.start(os.Args[0], []string{playEnv + "=" + play}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "host to serve", func() bool { return strings.Contains(h.LogTail(100), "serving") })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("timed out waiting for %s", what)
		case <-tick.C:
		}
	}
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// A zombie waits for its parent to collect it; it runs no more.
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestHost(t *testing.T) {
	t.Run("stop is orderly and can be said twice", func(t *testing.T) {
		h := newLab(t).Hosts[0]
		run(t, h, "host")
		pid := h.Pid()
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
		if alive(pid) || h.Pid() != 0 {
			t.Error("still runs")
		}
		if tail := h.LogTail(1); tail != "orderly end" {
			t.Errorf("log ends with %q", tail)
		}
		if !strings.Contains(h.LogTail(9), "server --config "+filepath.Join(h.Dir, "vstack.yaml")) {
			t.Errorf("arguments: %q", h.LogTail(9))
		}
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a paused host still stops", func(t *testing.T) {
		h := newLab(t).Hosts[0]
		run(t, h, "host")
		if err := h.Pause(); err != nil {
			t.Fatal(err)
		}
		if err := h.Stop(); err != nil || h.LogTail(1) != "orderly end" {
			t.Errorf("%v, log ends with %q", err, h.LogTail(1))
		}
	})
	t.Run("a host that ignores SIGTERM is killed and that is said", func(t *testing.T) {
		h := newLab(t).Hosts[0]
		h.Config.Grace = -5*time.Second + 50*time.Millisecond
		run(t, h, "stubborn")
		pid := h.Pid()
		if err := h.Stop(); !errors.Is(err, vstack.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if alive(pid) {
			t.Error("still runs")
		}
	})
	t.Run("restart keeps the log", func(t *testing.T) {
		h := newLab(t).Hosts[0]
		run(t, h, "host")
		pid := h.Pid()
		if err := h.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "second run", func() bool { return strings.Count(h.LogTail(99), "serving") == 2 })
		if h.Pid() == pid || h.Pid() == 0 {
			t.Errorf("pid %d after %d", h.Pid(), pid)
		}
		if err := h.Start(); !errors.Is(err, vstack.ErrAlreadyExists) {
			t.Errorf("started twice: %v", err)
		}
	})
	t.Run("killing what does not run is not found", func(t *testing.T) {
		if err := newLab(t).Hosts[0].Kill(); !errors.Is(err, vstack.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestHostsDieWithTheirRunner(t *testing.T) {
	l := newLab(t)
	runner := exec.Command(os.Args[0])
	runner.Env = append(os.Environ(), playEnv+"=runner", "LAB_TEST_DIR="+l.Dir)
	out, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("runner said %q", line)
	}
	if !alive(pid) {
		t.Fatal("host does not run")
	}
	if err := runner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = runner.Wait() // "signal: killed"
	waitFor(t, "host to die with its runner", func() bool { return !alive(pid) })
}

func TestStartTellsWhyAHostEnded(t *testing.T) {
	l := newLab(t)
	l.Env = []string{playEnv + "=crash"}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := l.Start(ctx, os.Args[0])
	if !errors.Is(err, errHostEnded) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
	for _, h := range l.Hosts {
		if h.Pid() != 0 {
			t.Errorf("%s still runs", h.ID)
		}
	}
}

func TestStartGivesUpAtItsDeadline(t *testing.T) {
	l := newLab(t)
	l.Env = []string{playEnv + "=host"} // runs, and never serves
	var waited []string
	l.OnWait = func(what string) { waited = append(waited, what) }
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := l.Start(ctx, os.Args[0]); !errors.Is(err, vstack.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	if len(waited) == 0 || !strings.Contains(waited[0], "host h1") {
		t.Errorf("waited for %q", waited)
	}
	for _, h := range l.Hosts {
		if h.Pid() != 0 {
			t.Errorf("%s still runs", h.ID)
		}
	}
}

func TestOneRunnerALab(t *testing.T) {
	l := newLab(t)
	if err := l.acquire(); err != nil {
		t.Fatal(err)
	}
	second, err := Load(l.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context(), os.Args[0]); !errors.Is(err, vstack.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
