package ffmpeg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// kind is one kind of file that people have, made here, and what has to come of it.
type kind struct {
	args  []string // ffmpeg's, before the file's name; nil with from
	from  string   // another kind that change makes this one of
	alter func([]byte) []byte
	again []string // ffmpeg's arguments between "-i from" and the file's name
	want  string   // describe, without levels of codecs
	shown [2]int   // what a browser shows, 0 not to ask
	red   bool     // pure red, whatever the way
	warns string   // a word of a warning
	often bool     // small and telling enough for every run
}

const still = "testsrc2=s=320x180:r=25:d="

var kinds = map[string]kind{
	"plain.mp4":   {args: av(append(x264, "-g", "25", "-c:a", "aac")...), want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch", shown: [2]int{320, 180}},
	"preroll.mp4": {from: "long.mp4", again: []string{"-ss", "1.3", "-c", "copy"}, want: "avc1 converted 320×180; mp4a.40.2 copied 1 ch", warns: "frames lie before its start", often: true},
	"long.mp4":    {args: av(append(x264, "-bf", "2", "-g", "250", "-c:a", "aac")...), want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch"},
	"sar.mpg":     {args: []string{"-f", "lavfi", "-i", "testsrc2=s=720x576:r=25:d=1", "-vf", "setsar=64/45", "-c:v", "mpeg2video", "-b:v", "3M", "-f", "vob"}, want: "avc1 converted 720×576", shown: [2]int{1024, 576}, often: true},
	"sar.mp4":     {args: []string{"-f", "lavfi", "-i", "testsrc2=s=720x480:r=25:d=1", "-vf", "setsar=32/27", "-c:v", "libx264", "-pix_fmt", "yuv420p"}, want: "avc1 copied 720×480", shown: [2]int{853, 480}},
	"fields.ts":   {args: []string{"-f", "lavfi", "-i", "testsrc2=s=640x360:r=50:d=2", "-vf", "interlace=scan=tff,setfield=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-b:v", "2M"}, want: "avc1 converted 640×360"},
	"3.0.wav":     {args: sound("3.0", "c0=c0|c1=c0|c2=c0"), want: "mp4a.40.2 converted 3 ch"},
	"2.1.wav":     {args: sound("2.1", "c0=c0|c1=c0|c2=c0"), want: "mp4a.40.2 converted 6 ch"},
	"mono.wav":    {args: sound("mono", "c0=c0"), want: "mp4a.40.2 converted 1 ch"},
	"quad.m4a":    {args: sound("quad", "c0=c0|c1=c0|c2=c0|c3=c0", "-c:a", "aac"), want: "mp4a.40.2 converted 6 ch", warns: "describes its channels itself", often: true},
	"red.mov":     {args: []string{"-f", "lavfi", "-i", "color=c=red:s=1280x720:r=25:d=0.4", "-c:v", "qtrle"}, want: "avc1 converted 1280×720", shown: [2]int{1280, 720}, red: true, often: true},
	"late.mkv":    {args: []string{"-f", "lavfi", "-i", still + "2", "-f", "lavfi", "-i", tone, "-filter:v", "setpts=PTS+3/TB", "-fps_mode", "vfr", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"}, want: "avc1 converted 320×180; mp4a.40.2 copied 1 ch", warns: "black is shown"},
	"far.mkv":     {from: "plain.mp4", again: []string{"-c", "copy", "-output_ts_offset", "50000"}, want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch"},
	"raw.h264":    {args: append([]string{"-f", "lavfi", "-i", picture}, append(x264, "-bf", "3")...), want: "avc1 converted 320×180", warns: "no times", often: true},
	"languages.mkv": {args: append(append([]string{"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-f", "lavfi", "-i", tone, "-map", "0", "-map", "1", "-map", "2"}, x264...),
		"-c:a", "aac", "-metadata:s:a:0", "language=pt-BR", "-metadata:s:a:1", "language=ger"), want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch pt-BR; mp4a.40.2 copied 1 ch de"},
	"behind.mp4": {from: "plain.mp4", alter: func(b []byte) []byte { return append(b, "\r\n"...) }, want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch", warns: "bytes after the last box"},
	"torn.flv":   {from: "whole.flv", alter: func(b []byte) []byte { return b[:2*len(b)/3] }, want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch"},
	"whole.flv":  {args: av(append(x264, "-ar", "44100", "-c:a", "aac")...), want: "avc1 copied 320×180; mp4a.40.2 copied 1 ch"},
	"vbs.flac":   {args: sound("mono", "c0=c0", "-c:a", "flac"), alter: variableBlocks, want: "mp4a.40.2 converted 1 ch", warns: "blocks of many sizes"},
}

// variableBlocks has a FLAC's header say that its blocks differ in size.
func variableBlocks(b []byte) []byte {
	const leastBlock = 8
	b[leastBlock+1]--
	return b
}

func sound(layout, matrix string, more ...string) []string {
	return append([]string{"-f", "lavfi", "-i", "sine=r=48000:d=1", "-af", "pan=" + layout + "|" + matrix}, more...)
}

// kindFile makes a kind.
func kindFile(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed")
	}
	k, path := kinds[name], filepath.Join(t.TempDir(), name)
	switch {
	case k.again != nil:
		from := kindFile(t, k.from)
		args := []string{"-i", from}
		if k.again[0] == "-ss" { // before the input: to the keyframe before, with an edit
			args, k.again = []string{"-ss", k.again[1], "-i", from}, k.again[2:]
		}
		ffmpegRun(t, append(append(args, k.again...), path)...)
	case k.from != "":
		path = filepath.Join(t.TempDir(), name)
		body, err := os.ReadFile(kindFile(t, k.from))
		if err == nil {
			err = os.WriteFile(path, body, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	default:
		ffmpegRun(t, append(slices.Clone(k.args), path)...)
	}
	if k.alter != nil {
		body, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, k.alter(body), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestKindsOfFilesThatPeopleHave(t *testing.T) {
	soak := os.Getenv("VSTACK_SOAK") != ""
	var b *browser
	if soak {
		b = newBrowser(t)
	}
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			if !k.often && !soak {
				t.Skip("SKIPPED: set VSTACK_SOAK=1 (make soak-lab) to try " + name)
			}
			file := kindFile(t, name)
			plan, tracks := cutFile(t, file)
			if got := levelless(describe(tracks)); got != k.want {
				t.Errorf("%q, want %q", got, k.want)
			}
			if !strings.Contains(strings.Join(plan.Warnings, "; "), k.warns) {
				t.Errorf("warnings %q, want one of %q", plan.Warnings, k.warns)
			}
			for _, w := range compareShown(t, media.Media{}, file, tracks) {
				t.Error(w)
			}
			if b == nil {
				return
			}
			for _, w := range compareBrowser(t, b, tracks) {
				t.Error(w)
			}
			if k.shown[0] == 0 && !k.red {
				return
			}
			s := b.play(t, tracks...)
			if s.Width != k.shown[0] || s.Height != k.shown[1] {
				t.Errorf("shown %d×%d, want %v", s.Width, s.Height, k.shown)
			}
			if k.red && (len(s.Pixels) == 0 || len(s.Pixels[0]) != 3 || s.Pixels[0][0] < 250 || s.Pixels[0][1] > 5 || s.Pixels[0][2] > 5) {
				t.Errorf("red is shown as %v", s.Pixels)
			}
		})
	}
}

// levelless leaves the profile and level out of H.264's name.
func levelless(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if strings.HasPrefix(w, "avc1.") {
			words[i] = "avc1"
		}
	}
	return strings.Join(words, " ")
}

func TestRenditionsShareTheirCutPoints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gop.mp4")
	clip(t, "silent.mp4")
	ffmpegRun(t, "-f", "lavfi", "-i", "testsrc2=s=640x480:r=25:d=12", "-c:v", "libx264", "-preset", "ultrafast", "-g", "35", "-bf", "2", "-pix_fmt", "yuv420p", file)
	_, tracks := cutFile(t, file, "source", "360p")
	var cuts []string
	for _, k := range tracks {
		var at []string
		for _, c := range k.chunks {
			start := c.Start
			for _, f := range c.Fragments {
				if f.CutPoint {
					at = append(at, fmt.Sprintf("%.2f", float64(start)/float64(k.init.Timescale)))
					if !f.Keyframe || f.Lead == 0 {
						t.Errorf("%s: a cut point at %s without a keyframe", k.plan.Name, at[len(at)-1])
					}
				}
				start += f.Duration
			}
		}
		cuts = append(cuts, strings.Join(at, " "))
	}
	if !tracks[0].plan.Copy || tracks[1].plan.Copy || tracks[0].plan.Kind != vstack.TrackVideo {
		t.Fatalf("%s", describe(tracks))
	}
	if cuts[0] != "0.00 4.20 8.40" || cuts[1] != cuts[0] { // keyframes are 1.4 s apart
		t.Errorf("cut points %q", cuts)
	}
}
