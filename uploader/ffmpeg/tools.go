package ffmpeg

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/arrive"
	"github.com/vstack/vstack/uploader/child"
	"github.com/vstack/vstack/uploader/jail"
	"github.com/vstack/vstack/uploader/said"
	"github.com/vstack/vstack/uploader/source"
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

// Tools names the two programs. The zero value finds them on PATH.
type Tools struct {
	FFmpeg  string // path or name; default "ffmpeg"
	FFprobe string // default "ffprobe"
	// Jail says how children that read a stranger's file are confined.
	Jail jail.Jail
	// Bounds are what such a child may use; zero fields take the defaults of withDefaults.
	Bounds jail.Bounds
	Vault  source.Vault // knows how a file is encrypted
	// Arriving is what is read where the file's name is Arriving.
	Arriving *arrive.File
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
		out := &said.Tail{Max: 4 << 10}
		c := child.Command(ctx, name, "-hide_banner", "-version")
		c.Stdout, c.Stderr = out, out
		if err := child.Run(c); err != nil {
			return "", fmt.Errorf("run %s -version: %w: %w", name, vstack.ErrUnavailable, err)
		}
		version = versionLine(out.Head())
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
func (t Tools) inputArgs(file string) ([]string, error) {
	protocols, in := "file,pipe", []string{"-i", file}
	if file != Arriving {
		abs, err := filepath.Abs(file)
		if err == nil {
			protocols, in, err = t.Vault.Input(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", file, err)
		}
	}
	return append([]string{"-protocol_whitelist", protocols, "-format_whitelist", demuxers}, in...), nil
}

// jailed prepares a child that reads one file of a stranger's.
func (t Tools) jailed(ctx context.Context, b jail.Bounds, file, name string, args ...string) (*exec.Cmd, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", file, err)
	}
	if file == Arriving {
		abs = ""
	}
	c, err := t.Jail.Command(ctx, b, abs, name, args...)
	if err != nil {
		return nil, err
	}
	// More than one heap a thread would use up address space, which is bounded.
	child.Own(c).Env = append(c.Env, "MALLOC_ARENA_MAX=2")
	return c, nil
}
