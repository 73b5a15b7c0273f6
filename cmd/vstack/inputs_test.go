package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// input is a file of a kind that people have, made by ffmpeg.
type input struct {
	name string
	file string
	// args make the file, after the inputs [0] picture and [1] sound.
	args []string
	// seconds and picture are of the source; picture "" is sound alone.
	seconds int
	picture string
	copied  bool // every stream must have been copied
	long    bool // only with VSTACK_SOAK
	silent  bool
}

func inputs() []input {
	x264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"}
	with := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	return []input{
		{name: "H.264 AAC MP4, moov at the end", file: "end.mp4", args: with(x264, "-c:a", "aac"), seconds: 6, picture: "640x360", copied: true},
		{name: "VP8 Vorbis WebM", file: "vp8.webm", args: []string{"-c:v", "libvpx", "-deadline", "realtime", "-b:v", "1M", "-c:a", "libvorbis"}, seconds: 4, picture: "320x180", long: true},
		{name: "HEVC MKV", file: "hevc.mkv", args: []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-c:a", "aac"}, seconds: 3, picture: "320x180"},
		{name: "MOV", file: "pcm.mov", args: with(x264, "-c:a", "pcm_s16le"), seconds: 3, picture: "320x180", long: true},
		{name: "no sound", file: "silent.mp4", args: x264, seconds: 3, picture: "320x180", copied: true, silent: true},
		{name: "variable frame rate", file: "vfr.mkv", args: with(x264, "-vf", "select='if(lt(t,2),1,not(mod(n,3)))'", "-fps_mode", "vfr", "-c:a", "aac"), seconds: 4, picture: "320x180", copied: true, long: true},
		{name: "B-frames", file: "bframes.mp4", args: []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "48", "-pix_fmt", "yuv420p", "-c:a", "aac"}, seconds: 4, picture: "320x180", copied: true, long: true},
		{name: "portrait", file: "portrait.mp4", args: with(x264, "-c:a", "aac"), seconds: 3, picture: "360x640", copied: true, long: true},
		{name: "one second", file: "second.mp4", args: with(x264, "-c:a", "aac"), seconds: 1, picture: "320x180", copied: true, long: true},
		{name: "sound alone", file: "sound.m4a", args: []string{"-vn", "-c:a", "aac"}, seconds: 5, copied: true},
		{name: "half an hour", file: "long.mp4", args: with(x264, "-g", "250", "-c:a", "aac"), seconds: 1800, picture: "256x144", copied: true, long: true},
		{name: "4K at 40 Mbit/s", file: "4k.mp4", args: with(x264, "-b:v", "40M", "-minrate", "40M", "-maxrate", "40M", "-bufsize", "40M", "-x264-params", "nal-hrd=cbr", "-c:a", "aac"), seconds: 12, picture: "3840x2160", copied: true, long: true},
	}
}

func (in input) make(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, in.file)
	d := strconv.Itoa(in.seconds)
	args := []string{}
	if in.picture != "" {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=rate=30:size="+in.picture+":duration="+d)
	}
	if !in.silent {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration="+d)
	}
	runFFmpeg(t, append(append(args, in.args...), path)...)
	return path
}

func TestFilesThatPeopleHave(t *testing.T) {
	s := newScenario(t)
	dir := t.TempDir()
	for _, in := range inputs() {
		t.Run(in.name, func(t *testing.T) {
			if in.long && os.Getenv("VSTACK_SOAK") == "" {
				t.Skip("SKIPPED: takes minutes; make soak-lab runs it (VSTACK_SOAK=1)")
			}
			s := &scenario{T: t, lab: s.lab, cluster: s.cluster, prog: s.prog}
			file := in.make(t, dir)
			var jobs wire.List[wire.Job]
			s.vstackJSON(&jobs, "video", "upload", file)
			job := jobs.Items[0]
			out := filepath.Join(dir, "out-"+in.file)
			if in.picture != "" {
				out = filepath.Join(dir, "out-"+in.file+".mp4")
			}
			s.vstackFile("video", "export", job.Video.String(), "-o", out)
			same(t, in, job, file, out)
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		})
	}
}

// same holds an export to its source: every track, as long to a frame, and the same
// frames where the stream was copied.
func same(t *testing.T, in input, job wire.Job, file, out string) {
	t.Helper()
	want, got := probe(t, file), probe(t, out)
	for _, kind := range []string{"video", "audio"} {
		if want.count(kind) != got.count(kind) {
			t.Errorf("%d %s tracks, want %d", got.count(kind), kind, want.count(kind))
		}
	}
	// A frame is a picture's, or 1,024 samples of sound where there is no picture.
	frame := 1.0 / 30
	if d := math.Abs(want.seconds(t) - got.seconds(t)); d > frame+0.001 {
		t.Errorf("duration %.3f s, want %.3f s: off by %.3f s", got.seconds(t), want.seconds(t), d)
	}
	for _, track := range job.Tracks {
		if in.copied && !track.Copied {
			t.Errorf("track %d (%s) was transcoded", track.Number, track.Codec)
		}
		kind := "v"
		if track.Kind == vstack.TrackAudio {
			kind = "a"
		}
		if track.Copied && frames(t, file, kind) != frames(t, out, kind) {
			t.Errorf("track %d was copied and its frames differ", track.Number)
		}
	}
	t.Logf("%s: %s", in.name, fmt.Sprintf("%.3f s, %d chunks, tracks %+v", got.seconds(t), job.Chunks, job.Tracks))
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		CodecType string `json:"codec_type"`
	} `json:"streams"`
	Format struct {
		Duration string `json:"duration"`
	} `json:"format"`
}

func probe(t *testing.T, file string) probed {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", file).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", file, err)
	}
	var p probed
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p probed) count(kind string) (n int) {
	for _, s := range p.Streams {
		if s.CodecType == kind {
			n++
		}
	}
	return n
}

func (p probed) seconds(t *testing.T) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(p.Format.Duration, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
