package ffmpeg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// orphanEnv makes the test binary a process that starts ffmpeg, says its id, and waits
// to be killed.
const orphanEnv = "VSTACK_TEST_ORPHAN"

func orphanMain(program string) {
	plan := Plan{Tracks: []Track{{Number: 1, Kind: vstack.TrackAudio, Copy: true}}}
	p, err := Tools{FFmpeg: program}.Start(context.Background(), plan, program, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println(p.pid)
	select {}
}

// The child here never writes: one that does would also notice the broken pipe.
func TestFFmpegDiesWithAKilledUploader(t *testing.T) {
	program := filepath.Join(t.TempDir(), "silent")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), orphanEnv+"="+program)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child is not there to begin with: %v", err)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it was killed
	deadline := time.After(time.Minute)
	for {
		if gone(pid) {
			return
		}
		select {
		case <-deadline:
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("child %d outlives its uploader", pid)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// gone is true for no process and for a zombie that only waits for its new parent.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}
