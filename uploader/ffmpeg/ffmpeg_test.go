package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

func TestRealInputsComeBackAsTheyWere(t *testing.T) {
	for name, tc := range map[string]struct {
		codecs string  // copied ones are marked
		frame  float64 // seconds of one frame
	}{
		"moov-at-end.mp4":  {"=avc1 =mp4a.40.2", .04},
		"b-frames.mp4":     {"=avc1 =mp4a.40.2", .04},
		"open-gop.mp4":     {"=avc1 =mp4a.40.2", .04},
		"mov.mov":          {"=avc1 mp4a.40.2", .04},
		"vp8.webm":         {"avc1 mp4a.40.2", .04},
		"vp9.webm":         {"=vp09 =Opus", .04},
		"hevc.mkv":         {"avc1 mp4a.40.2", .04},
		"flac.mkv":         {"=avc1 =fLaC", .105},
		"ts.ts":            {"=avc1 =mp4a.40.2", .04},
		"avi.avi":          {"avc1 mp4a.40.2", .06},
		"h264.avi":         {"avc1 mp4a.40.2", .06},
		"silent.mp4":       {"=avc1", .04},
		"audio.mp3":        {"mp4a.40.2", .06},
		"audio.m4a":        {"=mp4a.40.2", .03},
		"one-second.mp4":   {"=avc1 =mp4a.40.2", .034},
		"vfr.mp4":          {"=avc1 =mp4a.40.2", .06},
		"vfr.webm":         {"avc1 mp4a.40.2", .06},
		"late-sound.mp4":   {"=avc1 =mp4a.40.2", .04},
		"late-picture.mp4": {"=avc1 =mp4a.40.2", .04},
		"languages.mkv":    {"=avc1 =mp4a.40.2 =mp4a.40.2", .04},
		"odd.mkv":          {"avc1", .04},
		"ten.mkv":          {"avc1", .04},
		portrait:           {"=avc1 =mp4a.40.2", .04},
	} {
		t.Run(name, func(t *testing.T) {
			rare(t, name)
			file := clip(t, name)
			_, tracks := cutFile(t, file)
			var codecs []string
			end := 0.0
			for _, k := range tracks {
				codec := k.init.Codec
				for _, family := range []string{"avc1", "vp09"} {
					if strings.HasPrefix(codec, family) {
						codec = family
					}
				}
				if k.plan.Copy {
					codec = "=" + codec
				}
				codecs = append(codecs, codec)
				end = max(end, k.end())
			}
			if got := strings.Join(codecs, " "); got != tc.codecs {
				t.Fatalf("codecs %q, want %q", got, tc.codecs)
			}
			out := export(t, tracks, "out.mp4")
			source, result := inspect(t, file), inspect(t, out)
			if math.Abs(result.duration-source.duration) > tc.frame || math.Abs(end-source.duration) > tc.frame {
				t.Errorf("source lasts %.3f s, cut %.3f, export %.3f", source.duration, end, result.duration)
			}
			for i, k := range tracks {
				compareTrack(t, source, result, i, k, tc.frame)
			}
		})
	}
}

// rare skips the inputs that only the soak tries.
func rare(t *testing.T, name string) {
	t.Helper()
	often := []string{"moov-at-end.mp4", "b-frames.mp4", "mov.mov", "vp8.webm", "vp9.webm", "ts.ts", "silent.mp4", "one-second.mp4", "vfr.mp4", "late-sound.mp4", "languages.mkv", portrait}
	if !slices.Contains(often, name) && os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: set VSTACK_SOAK=1 (make soak-lab) to try " + name)
	}
}

// compareTrack holds a track of the export against the source's stream.
func compareTrack(t *testing.T, source, result inspected, i int, k *track, frame float64) {
	t.Helper()
	want, got := source.frames[k.plan.Stream.Index], result.frames[i]
	if k.plan.Stream.Start > media.Late { // black, or silence, until it begins
		got = begun(t, got, want[0].at, frame)
	}
	if len(got) == 0 || len(want) == 0 {
		t.Fatalf("track %d: %d frames, %d in the source", i, len(got), len(want))
	}
	if (k.plan.Copy || k.plan.Kind == vstack.TrackVideo) && len(got) != len(want) {
		t.Fatalf("track %d: %d frames, want %d: frames were dropped or doubled", i, len(got), len(want))
	}
	if k.plan.Copy {
		whole := len(want)
		if k.init.Codec == "Opus" {
			whole-- // MP4 has no place for WebM's padding in the last packet
		}
		for n := range whole {
			if want[n].sum != got[n].sum {
				t.Fatalf("track %d: frame %d differs from the source", i, n)
			}
		}
	}
	// Sync: the first frame lies where it lay; ffmpeg reads a file as starting at 0.
	if math.Abs(want[0].at-got[0].at) > frame {
		t.Errorf("track %d starts at %.3f s, want %.3f", i, got[0].at, want[0].at)
	}
	if k.plan.Kind == vstack.TrackVideo {
		for n := range want {
			if math.Abs((want[n].at-want[0].at)-(got[n].at-got[0].at)) > 0.0021 { // AVI and WebM count milliseconds
				t.Fatalf("track %d: frame %d at %.4f s, want %.4f", i, n, got[n].at-got[0].at, want[n].at-want[0].at)
			}
		}
	}
}

// begun is what is left of a track that was late once what fills the time before is off.
func begun(t *testing.T, got []frameSum, start, frame float64) []frameSum {
	t.Helper()
	if len(got) == 0 || got[0].at > frame {
		t.Fatalf("nothing at 0")
	}
	for i, f := range got {
		if f.at > start-frame/2 {
			return got[i:]
		}
	}
	return nil
}

// inspected is what FFmpeg's own tools say of a file.
type inspected struct {
	duration float64
	frames   map[int][]frameSum // decoded, by stream
}

func inspect(t *testing.T, file string) (out inspected) {
	t.Helper()
	text, err := exec.Command("ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "format=duration", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "%g", &out.duration); err != nil {
		t.Fatalf("ffprobe of %s: %q", file, text)
	}
	out.frames = sums(ffmpegRun(t, "-i", file, "-map", "0:v?", "-map", "0:a?", "-f", "framemd5", "-"))
	return out
}

type frameSum struct {
	at  float64
	sum string
}

// sums reads framemd5's lines: stream, dts, pts, duration, size, hash.
func sums(text string) map[int][]frameSum {
	out, base := map[int][]frameSum{}, map[int]float64{}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "#tb "); ok {
			stream, value, _ := strings.Cut(rest, ": ")
			n, _ := strconv.Atoi(stream)
			num, den, _ := strings.Cut(strings.TrimSpace(value), "/")
			a, _ := strconv.ParseFloat(num, 64)
			b, _ := strconv.ParseFloat(den, 64)
			base[n] = a / b
		}
		cols := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), " ", ""), ",")
		if strings.HasPrefix(line, "#") || len(cols) < 6 {
			continue
		}
		stream, _ := strconv.Atoi(cols[0])
		pts, _ := strconv.ParseFloat(cols[2], 64)
		out[stream] = append(out[stream], frameSum{at: pts * base[stream], sum: cols[5]})
	}
	return out
}

// Each cut finds other bytes in the memory that it was given: what reads memory that it
// never wrote (an encoder's assembly did) cuts differently.
func TestCuttingTwiceGivesTheSameChunks(t *testing.T) {
	for _, name := range []string{"large.mkv", "b-frames.mp4", "vp8.webm", "21-blocks.avi", "hevc.mkv", "vfr.webm", "avi.avi"} {
		t.Run(name, func(t *testing.T) {
			rare(t, name)
			file := clip(t, name)
			var first []string
			fills := []int{0, 85, 254}
			if os.Getenv("VSTACK_SOAK") != "" {
				fills = []int{0, 1, 85, 170, 254}
			}
			for _, fill := range fills {
				ids := chunkIDs(heapFilledWith(t, fill).cutFile(t, file, "source", "360p"))
				if first == nil {
					first = ids
				}
				if !slices.Equal(first, ids) {
					t.Fatalf("a heap of %d gives another cut:\n%v\n%v", fill, first, ids)
				}
			}
		})
	}
}

func chunkIDs(_ Plan, tracks []*track) (out []string) {
	for _, k := range tracks {
		out = append(out, vstack.ChunkIDOf(k.init.Data).String())
		for _, c := range k.chunks {
			out = append(out, fmt.Sprintf("%s %d %d %v", vstack.ChunkIDOf(c.Data), c.Start, c.Duration, c.Keyframe))
		}
	}
	return out
}

// heapFilledWith is an ffmpeg whose allocations hold the complement of fill at first, by
// glibc's own switch; 0 leaves them as they are.
func heapFilledWith(t *testing.T, fill int) Tools {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ffmpeg")
	script := fmt.Sprintf("#!/bin/sh\nexport MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_PERTURB_=%d\nexec ffmpeg \"$@\"\n", fill)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return Tools{FFmpeg: path}
}

func TestChunksOfARealFileStartAtKeyframes(t *testing.T) {
	_, tracks := cutFile(t, clip(t, "large.mkv"))
	if n := len(tracks[0].chunks); n < 3 {
		t.Fatalf("%d chunks", n)
	}
	keys := 0
	for i, c := range tracks[0].chunks {
		if len(c.Data) > vstack.ChunkSize {
			t.Errorf("chunk %d: %d bytes", i, len(c.Data))
		}
		if c.Keyframe {
			keys++
		}
	}
	if 2*keys < len(tracks[0].chunks) {
		t.Errorf("%d of %d chunks start at a keyframe", keys, len(tracks[0].chunks))
	}
}

func TestPortraitIsKeptAndTurned(t *testing.T) {
	_, tracks := cutFile(t, clip(t, portrait))
	in := tracks[0].init
	if in.Width != 320 || in.Height != 180 || in.Rotation != 90 && in.Rotation != 270 {
		t.Errorf("copied: %d×%d turned by %d", in.Width, in.Height, in.Rotation)
	}
	if m, err := Probe(t.Context(), export(t, tracks, "p.mp4")); err != nil || m.Streams[0].Rotation != in.Rotation {
		t.Errorf("export: %+v, %v", m, err)
	}
}

func TestRenditionsAreMadeSmallerAndNeverLarger(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hd.mp4")
	clip(t, "silent.mp4")
	ffmpegRun(t, "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", file)
	plan, tracks := cutFile(t, file, "source", "1080p", "720p", "480p", "360p")
	var got []string
	for _, k := range tracks {
		got = append(got, fmt.Sprintf("%s %dx%d %v", k.plan.Name, k.init.Width, k.init.Height, k.plan.Copy))
	}
	if s := strings.Join(got, ", "); s != "source 1280x720 true, 480p 852x480 false, 360p 640x360 false" {
		t.Errorf("renditions: %s", s)
	}
	if len(plan.Warnings) != 2 {
		t.Errorf("warnings: %q", plan.Warnings)
	}
	plan, err := NewPlan(media.Media{Streams: []media.Stream{{Kind: "video", Codec: "hevc", Width: 1920, Height: 1080, Rotation: 90}}}, []string{"720p"}, Limits{})
	if err != nil || plan.Tracks[0].Width != 720 || plan.Tracks[0].Height != 1280 {
		t.Errorf("portrait rendition: %+v, %v", plan.Tracks, err)
	}
}

func TestPicturesDataAndSubtitlesAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	from := clip(t, "audio.m4a")
	cover, file := filepath.Join(dir, "cover.png"), filepath.Join(dir, "album.mp3")
	ffmpegRun(t, "-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-frames:v", "1", cover)
	ffmpegRun(t, "-i", from, "-i", cover, "-map", "0", "-map", "1", "-c:a", "libmp3lame", "-disposition:v", "attached_pic", file)
	plan, tracks := cutFile(t, file)
	if len(tracks) != 1 || len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "attached picture") {
		t.Errorf("%d tracks, warnings %q", len(tracks), plan.Warnings)
	}
}

func TestLanguagesSurvive(t *testing.T) {
	_, tracks := cutFile(t, clip(t, "languages.mkv"))
	for _, name := range []string{"out.mp4", "out.mkv"} {
		m, err := Probe(t.Context(), export(t, tracks, name))
		if err != nil || len(m.Streams) != 3 || m.Streams[1].Language != "en" || m.Streams[2].Language != "de" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestLimitsAreEnforced(t *testing.T) {
	ok := media.Stream{Kind: "video", Codec: "h264", PixFmt: "yuv420p", Width: 320, Height: 180}
	wide, large := ok, ok
	wide.Width = 8193
	large.Width, large.Height = 8192, 8192
	for name, m := range map[string]media.Media{
		"long":        {Duration: 9 * 3600, Streams: []media.Stream{ok}},
		"wide":        {Streams: []media.Stream{wide}},
		"large":       {Streams: []media.Stream{large}},
		"many tracks": {Streams: slices.Repeat([]media.Stream{ok}, 33)},
	} {
		if _, err := NewPlan(m, nil, Limits{}); !errors.Is(err, vstack.ErrMediaUnfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCancelEndsTheChild(t *testing.T) {
	file := clip(t, "large.mkv")
	m, err := Probe(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(m, nil, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	p, err := Tools{}.Start(ctx, plan, file, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if _, err := p.Pipe(0).Read(b); err != nil {
		t.Fatal(err)
	}
	why := errors.New("changed my mind")
	cancel(why) // the pipe is full: ffmpeg waits for us and has not ended
	if err := p.Wait(); !errors.Is(err, why) {
		t.Errorf("wait: %v", err)
	}
}

func TestHungChildIsEnded(t *testing.T) {
	clip(t, "audio.m4a")
	script := filepath.Join(t.TempDir(), "hang")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plan := Plan{Tracks: []Track{{Number: 1, Kind: vstack.TrackAudio, Copy: true}}}
	p, err := Tools{FFmpeg: script}.Start(t.Context(), plan, clip(t, "audio.m4a"), 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	go p.Pipe(0).Read(make([]byte, 1)) // ends when Wait closes the pipe
	if err := p.Wait(); !errors.Is(err, vstack.ErrTranscode) || !strings.Contains(err.Error(), "no output") {
		t.Errorf("wait: %v", err)
	}
}

func TestFailureSaysWhatFFmpegSaidWithoutThePath(t *testing.T) {
	clip(t, "audio.m4a")
	file := filepath.Join(t.TempDir(), "secret-directory.bin")
	if err := os.WriteFile(file, []byte("nothing of the kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Tools{}.Start(t.Context(), Plan{Tracks: []Track{{Number: 1, Kind: vstack.TrackAudio, Copy: true}}}, file, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Wait()
	if !errors.Is(err, vstack.ErrTranscode) || !strings.Contains(err.Error(), "Invalid data") || strings.Contains(err.Error(), "secret-directory") {
		t.Errorf("error: %v", err)
	}
}

func TestArgumentsOffTheListAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-i", "http://example.org/x"}, {"-i", "concat:a|b"}, {"-filter_complex", "movie=/etc/passwd"}, {"-vf", "movie=/etc/passwd"},
		{"-metadata:s:0", "language=deu -y"}, {"-map", "0:0 -f"}, {"/etc/passwd"}, {"-i"}, {"-c"}, {"-protocol_whitelist", "http:"},
	} {
		if err := checkArgs(args, "file:"); err == nil {
			t.Errorf("%q passed", args)
		}
	}
}

func TestRemuxRefusesOtherForms(t *testing.T) {
	for _, out := range []string{"x.exe", "x", "x.ts"} {
		if err := Remux(t.Context(), []string{"a"}, out); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", out, err)
		}
	}
	out := filepath.Join(t.TempDir(), "x.mp4")
	clip(t, "audio.m4a")
	if err := Remux(t.Context(), []string{"/nonexistent"}, out); err == nil {
		t.Error("remux of nothing succeeded")
	}
	if left, _ := filepath.Glob(filepath.Dir(out) + "/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzProbeOutput(f *testing.F) {
	f.Add([]byte(`{"format":{"format_name":"mov","duration":"3.0"},"streams":[{"index":0,"codec_type":"video","codec_name":"h264","width":320,"height":180,"avg_frame_rate":"25/1","side_data_list":[{"rotation":-90}]}],"packets":[{"stream_index":0,"size":"10"}]}`))
	f.Add([]byte(`{"streams":[{"avg_frame_rate":"0/0","tags":{"language":"DEU"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var said media.Description
		if said.Read(b) != nil {
			return
		}
		p, err := NewPlan(said.Media(), []string{"source", "480p"}, Limits{})
		if err != nil {
			return
		}
		if args, err := p.args(Tools{}, "/tmp/x"); err != nil {
			t.Fatalf("%v: %q", err, args)
		}
	})
}
