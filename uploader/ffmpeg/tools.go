package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
)

// Shift is how far the outputs' clock runs ahead of the file's, in seconds; give it to
// fmp4.NewReader.
const Shift = 10

// maxAlloc bounds one allocation inside FFmpeg, in bytes: a header that promises the
// world then fails inside the child.
const maxAlloc = "1073741824"

// demuxers are the containers that may be read: plain files of media. Playlists and
// scripts that name other files (hls, dash, concat, image2, …) are not among them.
const demuxers = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv," +
	"ogg,asf,mp3,aac,flac,wav,w64,caf,aiff,amr,ac3,eac3,mxf,gxf,nut,rm,dv,ivf,h264,hevc,m4v,av1,obu,wv,ape,tta,au"

// killGrace is how long a killed child's pipes are awaited.
const killGrace = 2 * time.Second

// Tools names the two programs. The zero value finds them on PATH.
type Tools struct {
	FFmpeg  string // path or name; default "ffmpeg"
	FFprobe string // default "ffprobe"
}

func (t Tools) ffmpeg() string  { return orDefault(t.FFmpeg, "ffmpeg") }
func (t Tools) ffprobe() string { return orDefault(t.FFprobe, "ffprobe") }

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// Check reports whether both programs can be run, with the version of ffmpeg.
func (t Tools) Check(ctx context.Context) (version string, err error) {
	for _, name := range []string{t.ffprobe(), t.ffmpeg()} {
		out := &tail{max: 4 << 10}
		c := command(ctx, name, "-hide_banner", "-version")
		c.Stdout, c.Stderr = out, out
		if err := runLocked(c); err != nil {
			return "", fmt.Errorf("run %s -version: %w: %w", name, vstack.ErrUnavailable, err)
		}
		version, _, _ = strings.Cut(out.head(), "\n")
	}
	return strings.TrimSpace(version), nil
}

// inputArgs are the arguments before and with the input file.
func inputArgs(file string) ([]string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", file, err)
	}
	return []string{"-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers, "-i", "file:" + abs}, nil
}

// command prepares a child in a process group of its own that dies with its parent's
// thread (start it through runLocked or startLocked) and with ctx.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.Cancel = func() error { return killGroup(c.Process) }
	c.WaitDelay = killGrace
	// FFmpeg reads presets and reports from the environment; a locale changes numbers.
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent"}
	return c
}

func killGroup(p *os.Process) error {
	if p == nil {
		return nil
	}
	if err := unix.Kill(-p.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.Pid, err)
	}
	return nil
}

// runLocked runs a child to its end. Linux sends Pdeathsig when the *thread* that
// forked exits, so that thread is pinned until the child is gone.
func runLocked(c *exec.Cmd) error {
	started, done := startLocked(c)
	if err := <-started; err != nil {
		return err
	}
	return <-done
}

// startLocked starts a child on a pinned thread and waits for it there. started yields
// the outcome of the start once; done yields Wait's, only after a good start.
func startLocked(c *exec.Cmd) (started, done chan error) {
	started, done = make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := c.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		done <- c.Wait()
	}()
	return started, done
}

// tail keeps the first and the last bytes that a child wrote, within a bound.
type tail struct {
	mu    sync.Mutex
	max   int
	first []byte
	last  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := t.max/2 - len(t.first); room > 0 {
		t.first = append(t.first, p[:min(room, len(p))]...)
	}
	t.last = append(t.last, p...)
	if over := len(t.last) - t.max; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(p), nil
}

func (t *tail) head() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.first)
}

// text is the last few lines, cleaned for an error message: the spool's path is of no
// use to a client.
func (t *tail) text(file string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.last
	if file != "" {
		b = bytes.ReplaceAll(b, []byte("file:"+file), []byte("input"))
		b = bytes.ReplaceAll(b, []byte(file), []byte("input"))
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "?")), "\n")
	if len(lines) > 4 {
		lines = lines[len(lines)-4:]
	}
	s := strings.Join(lines, "; ")
	if len(s) > 600 {
		s = "…" + strings.ToValidUTF8(s[len(s)-600:], "")
	}
	return s
}
