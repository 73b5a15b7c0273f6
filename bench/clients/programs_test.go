package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// forms are the addresses of a film.
var forms = []struct{ name, path string }{{"HLS", "/master.m3u8"}, {"DASH", "/manifest.mpd"}, {"film.mp4", "/film.mp4"}}

// Seeks that every program is asked for: over the whole film, and into a run of ten
// seconds without a keyframe.
const coldSeek, runSeek = 23.3, 16.52

// TestFFmpegSeesEveryFrame compares each frame with the source's, which is copied, over
// each of the addresses, and seeks.
func TestFFmpegSeesEveryFrame(t *testing.T) {
	s := theStand(t)
	var all table
	want := s.hashes(t, s.file)
	if len(want) != frames {
		t.Fatalf("the source has %d frames", len(want))
	}
	for _, form := range forms {
		if !soak() && form.name == "DASH" { // as HLS, from the same segments
			continue
		}
		does := map[string]string{}
		if got := s.hashes(t, s.base+form.path); slices.Equal(got, want) {
			does["to the end"] = "yes"
		} else {
			t.Errorf("%s: %d frames, which are not the source's %d", form.name, len(got), len(want))
		}
		if !soak() {
			continue
		}
		for feature, at := range map[string]float64{"cold seek": coldSeek, "seek in a run": runSeek} {
			err := s.ffmpegAt(t, form.path, at)
			does[feature] = "yes"
			switch {
			case err != nil && form.name == "HLS":
				does[feature] = "no" // FFmpeg before 7 cannot seek in fragmented MP4 over HLS
				t.Logf("HLS: %s: %v", feature, err)
			case err != nil:
				t.Errorf("%s: %s: %v", form.name, feature, err)
			}
		}
		kinds := s.streams(t, form.path)
		if form.name != "film.mp4" {
			if does["renditions"] = yes(kinds["video"] == 2); kinds["video"] != 2 {
				t.Errorf("%s: %d renditions", form.name, kinds["video"])
			}
			if does["languages"] = yes(kinds["audio eng"] == 1 && kinds["audio ger"] == 1 || kinds["audio"] == 2); kinds["audio"] != 2 {
				t.Errorf("%s: sounds %v", form.name, kinds)
			}
			does["captions"] = yes(kinds["subtitle"] > 0)
		}
		all.add("FFmpeg, "+form.name, does)
	}
	t.Logf("\n%s", all.String())
}

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

// run runs a program to its end, as nobody where this is root: VLC wants that.
func run(t *testing.T, name string, args ...string) (out []byte, said string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	home := t.TempDir()
	c.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home, "GST_REGISTRY="+filepath.Join(home, "registry"))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	if os.Geteuid() == 0 && name == "cvlc" {
		const nobody = 65534
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		for dir := home; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = c.Run()
	return stdout.Bytes(), stderr.String(), err
}

// hashes are those of the decoded frames.
func (s *stand) hashes(t *testing.T, in string) []string {
	t.Helper()
	out, said, err := run(t, "ffmpeg", "-v", "error", "-nostdin", "-i", in, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	if err != nil {
		t.Fatalf("%s: %v: %s", in, err, said)
	}
	return sums(out)
}

// sums are the hashes that FFmpeg wrote.
func sums(out []byte) (all []string) {
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			f := strings.Split(line, ",")
			all = append(all, strings.TrimSpace(f[len(f)-1]))
		}
	}
	return all
}

// ffmpegAt seeks and looks at the first frame.
func (s *stand) ffmpegAt(t *testing.T, path string, at float64) error {
	t.Helper()
	out, said, err := run(t, "ffmpeg", "-v", "error", "-nostdin", "-ss", fmt.Sprint(at), "-i", s.base+path, "-map", "0:v:0", "-frames:v", "1", "-vf", fmt.Sprintf("scale=%d:%d", width, height), "-f", "rawvideo", "-pix_fmt", "gray", "-")
	if err != nil || len(out) != width*height {
		return fmt.Errorf("%d bytes, %v: %s", len(out), err, said)
	}
	return near(numberOf(out, width, height), at)
}

// near wants a frame to be that of a time, but for what containers round.
func near(frame int, at float64) error {
	if want := int(at * rate); frame < want-2 || frame > want+2 {
		return fmt.Errorf("frame %d, not %d", frame, want)
	}
	return nil
}

// streams counts what ffprobe finds, by kind and by kind and language.
func (s *stand) streams(t *testing.T, path string) map[string]int {
	t.Helper()
	out, said, err := run(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_type:stream_tags=language", "-of", "json", s.base+path)
	if err != nil {
		t.Fatalf("%s: %v: %s", path, err, said)
	}
	var found struct {
		Streams []struct {
			Kind string `json:"codec_type"`
			Tags struct {
				Language string `json:"language"`
			} `json:"tags"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, x := range found.Streams {
		kinds[x.Kind]++
		kinds[x.Kind+" "+x.Tags.Language]++
	}
	return kinds
}

// shotIn reads the number off the only picture in a folder.
func shotIn(dir string) (int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no picture: %v", err)
	}
	slices.Sort(names)
	f, err := os.Open(names[0])
	if err != nil {
		return 0, err
	}
	defer f.Close()
	p, err := png.Decode(f)
	if err != nil {
		return 0, err
	}
	w, h := p.Bounds().Dx(), p.Bounds().Dy()
	gray := make([]byte, w*h)
	for x := range w {
		r, _, _, _ := p.At(x, h/2).RGBA()
		gray[h/2*w+x] = byte(r >> 8)
	}
	return numberOf(gray, w, h), nil
}

// program is a player without a browser: to the end, and a picture at a time.
type program struct {
	name, program string
	end           func(url string) []string
	ended         func(out, said string) error
	at            func(url, dir string, at float64) []string // nil: it cannot be told to seek
	// before is how many frames before the time its picture may be of: VLC shows what it
	// decodes from the keyframe on.
	before int
}

var programs = []program{
	{"mpv", "mpv", func(url string) []string {
		return []string{"--no-config", "--vo=null", "--ao=null", "--untimed", "--no-cache", "--term-status-msg=${time-pos}", url}
	}, func(out, said string) error {
		if !strings.Contains(out+said, "End of file") {
			return fmt.Errorf("no end: %.300s", out+said)
		}
		return nil
	}, func(url, dir string, at float64) []string {
		return []string{"--no-config", "--ao=null", "--vo=image", "--vo-image-format=png", "--vo-image-outdir=" + dir, "--hr-seek=yes", "--start=" + fmt.Sprint(at), "--frames=1", url}
	}, 2},
	{"VLC", "cvlc", func(url string) []string {
		return []string{"-I", "dummy", "--vout", "dummy", "--aout", "adummy", "--rate", "8", "--play-and-exit", "-vv", url}
	}, func(out, said string) error {
		if strings.Contains(said, "main input error") || !strings.Contains(said, "EOF reached") && !strings.Contains(said, "end of stream") && !strings.Contains(said, "Received first picture") {
			return fmt.Errorf("%.600s", said)
		}
		return nil
	}, func(url, dir string, at float64) []string {
		return []string{"-I", "dummy", "--vout", "dummy", "--aout", "adummy", "--no-audio", "--video-filter", "scene", "--scene-path", dir, "--scene-ratio", "1", "--start-time", fmt.Sprint(at), "--run-time", "2", "--play-and-exit", url, "vlc://quit"}
	}, 10 * rate},
	{"GStreamer", "gst-launch-1.0", func(url string) []string {
		return []string{"-q", "playbin", "uri=" + url, "flags=video+audio", "video-sink=fakesink", "audio-sink=fakesink"}
	}, func(string, string) error { return nil }, nil, 0},
}

// TestOtherPrograms plays the film in players that are programs. It is of the long form:
// what is installed where differs, and each has its own time to start.
func TestOtherPrograms(t *testing.T) {
	if !soak() {
		t.Skip("SKIPPED: the long form plays mpv, VLC and GStreamer (VSTACK_SOAK)")
	}
	s := theStand(t)
	var all table
	for _, p := range programs {
		if _, err := exec.LookPath(p.program); err != nil {
			t.Logf("SKIPPED: %s is not installed", p.program)
			continue
		}
		for _, form := range forms {
			does := map[string]string{}
			out, said, err := run(t, p.program, p.end(s.base+form.path)...)
			if err == nil {
				err = p.ended(string(out), said)
			}
			if does["to the end"] = yes(err == nil); err != nil {
				t.Logf("%s, %s: to the end: %v: %.400s", p.name, form.name, err, said)
			}
			if !soak() {
				continue
			}
			for feature, at := range map[string]float64{"cold seek": coldSeek, "seek in a run": runSeek} {
				if p.at == nil {
					continue
				}
				err := s.shot(t, p.program, p.at, form.path, at, p.before)
				if does[feature] = yes(err == nil); err != nil {
					t.Logf("%s, %s: %s: %v", p.name, form.name, feature, err)
				}
			}
			all.add(p.name+", "+form.name, does)
		}
	}
	t.Logf("\n%s", all.String())
	for _, r := range all.rows {
		// HLS seeks of mpv are FFmpeg's; everything else is to work.
		for _, f := range []string{"to the end", "cold seek", "seek in a run"} {
			if r.does[f] == "no" && (f == "to the end" || r.client != "mpv, HLS") {
				t.Errorf("%s: %s", r.client, f)
			}
		}
	}
}

func (s *stand) shot(t *testing.T, program string, args func(url, dir string, at float64) []string, path string, at float64, before int) error {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	if _, said, err := run(t, program, args(s.base+path, dir, at)...); err != nil {
		return fmt.Errorf("%w: %.300s", err, said)
	}
	n, err := shotIn(dir)
	if err != nil {
		return err
	}
	if want := int(at * rate); n < want-before || n > want+2 {
		return fmt.Errorf("frame %d, not %d", n, want)
	}
	return nil
}

// TestReadersOfPlaylistsFindNothingWrong gives every playlist to three libraries; one is
// strict. They run in node.
func TestReadersOfPlaylistsFindNothingWrong(t *testing.T) {
	s := theStand(t)
	need(t, "node")
	if _, err := os.Stat("node_modules/hls-parser"); err != nil {
		t.Skip("SKIPPED: the readers are not fetched: npm ci in bench/clients")
	}
	args := []string{"testdata/parsers.mjs", s.base}
	for name, n := range s.tracks {
		if !strings.HasPrefix(name, "image") {
			args = append(args, strconv.Itoa(int(n)))
		}
	}
	out, said, err := run(t, "node", args...)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var found struct {
		Complaints []string
		Renditions map[string]int
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	for _, c := range found.Complaints {
		t.Error(c)
	}
	for reader, n := range found.Renditions {
		if n != 2 {
			t.Errorf("%s finds %d renditions", reader, n)
		}
	}
	if len(found.Renditions) != 3 {
		t.Errorf("readers that found renditions: %v", found.Renditions)
	}
}
