package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/jail"
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
	// Jail says how children that read a stranger's file are confined.
	Jail jail.Jail
	// Bounds are what such a child may use; zero fields take the defaults of withDefaults.
	Bounds jail.Bounds
}

// bounds are what a child may use that works on seconds of media; 0 is unknown.
func (t Tools) bounds(seconds float64) jail.Bounds {
	b := t.Bounds
	if seconds <= 0 {
		seconds = Limits{}.withDefaults().Duration
	}
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	if b.Memory == 0 {
		b.Memory = 3 << 30
	}
	if b.Files == 0 {
		b.Files = 256
	}
	if b.Threads == 0 {
		b.Threads = 512
	}
	if b.Output == 0 {
		b.Output = jail.NoOutput
	}
	// A film of 8K in four renditions takes some twenty seconds of a core a second.
	def(&b.CPU, 10*time.Minute+time.Duration(40*seconds)*time.Second)
	def(&b.Wall, time.Hour+time.Duration(40*seconds)*time.Second)
	return b
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
		version = versionLine(out.head())
	}
	return version, nil
}

// versionLine finds the line that says the version: a build may say other things first.
func versionLine(said string) string {
	for line := range strings.Lines(said) {
		if strings.Contains(line, " version ") {
			return strings.TrimSpace(line)
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	return first
}

// inputArgs are the arguments before and with the input file.
func inputArgs(file string) ([]string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", file, err)
	}
	return []string{"-protocol_whitelist", "file,pipe", "-format_whitelist", demuxers, "-i", "file:" + abs}, nil
}

// jailed prepares a child that reads one file of a stranger's.
func (t Tools) jailed(ctx context.Context, b jail.Bounds, file, name string, args ...string) (*exec.Cmd, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", file, err)
	}
	c, err := t.Jail.Command(ctx, b, abs, name, args...)
	if err != nil {
		return nil, err
	}
	// More than one heap a thread would use up address space, which is bounded.
	owned(c).Env = append(c.Env, "MALLOC_ARENA_MAX=2")
	return c, nil
}

// command prepares a child that reads nothing of a stranger's.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return owned(exec.CommandContext(ctx, name, args...))
}

// owned puts a child into a process group of its own that dies with its parent's thread
// (start it through runLocked or startLocked) and with its context.
func owned(c *exec.Cmd) *exec.Cmd {
	c.SysProcAttr = attributes()
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
func runLocked(c *exec.Cmd) error { return runStarted(c, c.Start) }

func runStarted(c *exec.Cmd, start func() error) error {
	started, done := startLocked(c, start)
	if err := <-started; err != nil {
		return err
	}
	return <-done
}

// startLocked starts a child on a pinned thread and waits for it there. started yields
// the outcome of the start once; done yields Wait's, only after a good start.
func startLocked(c *exec.Cmd, start func() error) (started, done chan error) {
	started, done = make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := start(); err != nil {
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

var (
	// address is where FFmpeg keeps what it speaks of, in its own memory.
	address     = regexp.MustCompile(` @ 0x[0-9a-f]+`)
	jailedInput = regexp.MustCompile(`(file:)?/proc/self/fd/[0-9]+`)
	whitelist   = regexp.MustCompile(`^\[([a-z0-9_,]+)\] Format not on whitelist`)
)

// insecure is what libgcrypt, which FFmpeg brings for streams that are not taken, says where it
// may lock no memory: in the jail of a service without privileges, each time.
const insecure = "Warning: using insecure memory!"

// clean takes out of FFmpeg's lines what is of use to nobody: addresses, the list of
// what it may read, a warning about keys that it does not have, and its repetitions.
func clean(lines []string) []string {
	out := lines[:0]
	for _, l := range lines {
		if strings.TrimSpace(l) == insecure {
			continue
		}
		l = address.ReplaceAllString(l, "")
		if m := whitelist.FindStringSubmatch(l); m != nil {
			l = fmt.Sprintf("files of the form %q are not taken", m[1])
		}
		if len(out) == 0 || out[len(out)-1] != l {
			out = append(out, l)
		}
	}
	return out
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
		b = jailedInput.ReplaceAll(b, []byte("input"))
	}
	lines := clean(strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(b), "?")), "\n"))
	if len(lines) > 4 {
		lines = lines[len(lines)-4:]
	}
	s := strings.Join(lines, "; ")
	if len(s) > 600 {
		s = "…" + strings.ToValidUTF8(s[len(s)-600:], "")
	}
	return s
}
