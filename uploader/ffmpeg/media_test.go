package ffmpeg

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/uploader/fmp4"
	"github.com/vstack/vstack/uploader/jail"
)

func TestMain(m *testing.M) {
	jail.Enter()
	if file := os.Getenv(orphanEnv); file != "" {
		orphanMain(file)
	}
	dir, err := os.MkdirTemp("", "vstack-ffmpeg-test-")
	if err != nil {
		panic(err)
	}
	clips.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// clips are generated once a test binary, each on first use.
var clips struct {
	dir string
	mu  sync.Mutex
}

const (
	picture = "testsrc2=s=320x180:r=25:d=2"
	tone    = "sine=f=440:d=2"
)

var x264 = []string{"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"}

func av(more ...string) []string {
	return append([]string{"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone}, more...)
}

// recipes are ffmpeg arguments before the output's name.
var recipes = map[string][]string{
	"moov-at-end.mp4": av(append(x264, "-c:a", "aac")...),
	"b-frames.mp4":    av(append(x264, "-bf", "4", "-b_strategy", "0", "-g", "50", "-c:a", "aac")...),
	"open-gop.mp4":    av(append(x264, "-bf", "3", "-x264-params", "open-gop=1:keyint=12:min-keyint=12", "-c:a", "aac")...),
	"mov.mov":         av(append(x264, "-c:a", "pcm_s16le")...),
	"vp8.webm":        av("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"),
	"21-blocks.avi":   {"-f", "lavfi", "-i", "testsrc2=s=336x192:r=25:d=2", "-c:v", "mpeg4"},
	"vp9.webm":        av("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"),
	"hevc.mkv":        av("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "ac3"),
	"flac.mkv":        av(append(x264, "-c:a", "flac")...),
	"ts.ts":           av(append(x264, "-c:a", "aac")...),
	"avi.avi":         av("-c:v", "mpeg4", "-c:a", "libmp3lame"),
	"h264.avi":        av(append(x264, "-bf", "2", "-c:a", "libmp3lame")...),
	"silent.mp4":      append([]string{"-f", "lavfi", "-i", picture}, x264...),
	"audio.mp3":       {"-f", "lavfi", "-i", tone, "-c:a", "libmp3lame"},
	"audio.m4a":       {"-f", "lavfi", "-i", tone, "-c:a", "aac"},
	"one-second.mp4":  {"-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=1", "-f", "lavfi", "-i", "sine=d=1", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"},
	// Frames 20, 60 and 47 ms apart.
	"vfr.mp4":  av(append(x264, "-vf", "setpts='if(lt(N,20),N*0.02,if(lt(N,35),0.4+(N-20)*0.06,1.3+(N-35)*0.0466))/TB'", "-fps_mode", "vfr", "-video_track_timescale", "90000", "-c:a", "aac")...),
	"vfr.webm": av("-vf", "setpts='if(lt(N,20),N*0.02,if(lt(N,35),0.4+(N-20)*0.06,1.3+(N-35)*0.0466))/TB'", "-fps_mode", "vfr", "-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"),
	// The sound starts a second late, then the picture does.
	"late-sound.mp4":   append([]string{"-f", "lavfi", "-i", picture, "-itsoffset", "1", "-f", "lavfi", "-i", tone}, append(x264, "-c:a", "aac")...),
	"late-picture.mp4": append([]string{"-itsoffset", "1", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone}, append(x264, "-c:a", "aac")...),
	"languages.mkv": append(append([]string{"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-f", "lavfi", "-i", "sine=f=880:d=2", "-map", "0", "-map", "1", "-map", "2"}, x264...),
		"-c:a", "aac", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"),
	"odd.mkv":   {"-f", "lavfi", "-i", "testsrc2=s=321x181:r=25:d=1", "-c:v", "ffv1"},
	"ten.mkv":   {"-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1", "-c:v", "libx264", "-pix_fmt", "yuv420p10le"},
	"fast.mp4":  {"-f", "lavfi", "-i", "testsrc2=s=320x180:r=60:d=6", "-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-pix_fmt", "yuv420p"},
	"large.mkv": {"-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=5,noise=alls=40:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "12M", "-g", "25", "-pix_fmt", "yuv420p"},
}

// portrait.mp4 is made of another clip: turned by its header alone, as phones do.
const portrait = "portrait.mp4"

func ffmpegRun(t testing.TB, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	c := exec.Command("ffmpeg", append([]string{"-v", "error", "-nostdin", "-y"}, args...)...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v: %s", args, err, stderr.String())
	}
	return string(out)
}

// clip returns the path of a generated file.
func clip(t testing.TB, name string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed")
	}
	path := filepath.Join(clips.dir, name)
	if name == portrait {
		from := clip(t, "moov-at-end.mp4")
		clips.mu.Lock()
		defer clips.mu.Unlock()
		ffmpegRun(t, "-i", from, "-c", "copy", "-metadata:s:v:0", "rotate=90", path)
		return path
	}
	clips.mu.Lock()
	defer clips.mu.Unlock()
	if _, err := os.Stat(path); err == nil {
		return path
	}
	ffmpegRun(t, append(append([]string{}, recipes[name]...), path)...)
	return path
}

// track is what came out of one pipe.
type track struct {
	plan   Track
	init   *fmp4.Init
	chunks []fmp4.Chunk
}

func (k *track) end() float64 {
	last := k.chunks[len(k.chunks)-1]
	return float64(last.Start+last.Duration) / float64(k.init.Timescale)
}

func (k *track) bytes() []byte {
	out := append([]byte(nil), k.init.Data...)
	for _, c := range k.chunks {
		out = append(out, c.Data...)
	}
	return out
}

// jailedTools run FFmpeg as a server does: jailed, by this test binary.
func jailedTools(t testing.TB) Tools {
	t.Helper()
	return Tools{Jail: jail.Jail{Helper: jail.Self}}
}

// cutFile runs a file through ffmpeg and cuts all its tracks.
func cutFile(t testing.TB, file string, renditions ...string) (Plan, []*track) {
	t.Helper()
	return jailedTools(t).cutFile(t, file, renditions...)
}

func (tools Tools) cutFile(t testing.TB, file string, renditions ...string) (Plan, []*track) {
	t.Helper()
	m, err := tools.Probe(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(m, renditions, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = tools.Refine(t.Context(), plan, file); err != nil {
		t.Fatal(err)
	}
	p, err := tools.Start(t.Context(), plan, file, 0)
	if err != nil {
		t.Fatal(err)
	}
	tracks := make([]*track, len(plan.Tracks))
	errs := make([]error, len(plan.Tracks))
	var wg sync.WaitGroup
	for i, pt := range plan.Tracks {
		wg.Go(func() {
			tracks[i] = &track{plan: pt}
			if errs[i] = tracks[i].cut(p.Pipe(i)); errs[i] != nil {
				p.Kill(errs[i])
			}
		})
	}
	wg.Wait()
	if err := p.Wait(); err != nil {
		t.Fatal(err, errs)
	}
	return plan, tracks
}

func (k *track) cut(r io.Reader) (err error) {
	var reader fmp4.Source = fmp4.NewFiller(fmp4.NewReader(r, Shift))
	if k.plan.Torn {
		reader = fmp4.NewWithoutLast(reader)
	}
	if k.init, err = reader.Init(); err != nil {
		return err
	}
	c := fmp4.NewCutter(k.init.Timescale, k.plan.Cuts)
	for {
		f, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		k.chunks = append(k.chunks, c.Add(f)...)
	}
	if last, ok := c.Flush(); ok {
		k.chunks = append(k.chunks, last)
	}
	return nil
}

// export puts tracks back together.
func export(t testing.TB, tracks []*track, name string) string {
	t.Helper()
	dir := t.TempDir()
	var inputs []string
	for i, k := range tracks {
		p := filepath.Join(dir, fmt.Sprintf("track%d.mp4", i))
		if err := os.WriteFile(p, k.bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, p)
	}
	out := filepath.Join(dir, name)
	if err := Remux(t.Context(), inputs, out); err != nil {
		t.Fatal(err)
	}
	return out
}
