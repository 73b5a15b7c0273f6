package cut

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/manifest"
)

// memory is a Sender and a Job that keep what they are given.
type memory struct {
	mu       sync.Mutex
	chunks   map[vstack.Slot][]byte
	warnings []string
}

func (m *memory) Send(slot vstack.Slot, _ vstack.ChunkRef, _ vstack.LeafTable, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chunks[slot] = bytes.Clone(data)
	return nil
}

func (m *memory) Wait() error                                              { return nil }
func (m *memory) Begin(_ []wire.JobTrack, said []string, _ func() float64) { m.warnings = said }
func (m *memory) Named(uint16, string)                                     {}
func (m *memory) CutTo(uint16, float64)                                    {}
func (m *memory) CutEnded(uint16)                                          {}
func (m *memory) End()                                                     {}

func (m *memory) Warn(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.warnings = append(m.warnings, text)
}

// cutFile cuts a file as a cluster of a level would.
func cutFile(t *testing.T, file string, level vstack.Level, given ...Subtitles) (vstack.Manifest, *memory) {
	t.Helper()
	plan := planned(t, file)
	kept := &memory{chunks: map[vstack.Slot][]byte{}}
	video := vstack.VideoID{7}
	m, err := Run(t.Context(), Order{Video: video, Source: file, Plan: plan, Subtitles: given, Level: level}, kept,
		func(context.Context, context.CancelCauseFunc) Sender { return kept })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Check(&m, video); err != nil {
		t.Error(err)
	}
	return m, kept
}

// film runs ffmpeg with a file of subtitles as its last input.
func film(t *testing.T, name, srt string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("SKIPPED: ffmpeg is not installed")
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in.srt")
	if err := os.WriteFile(in, []byte(srt), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "IN.srt", in)
	}
	out := filepath.Join(dir, name)
	if b, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, args...), out)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return out
}

// TestAFilmHasItsSubtitlesAPosterAndTiles cuts a film of 70 s whose picture says where it
// is: black for ten seconds, then white for ten, and so on.
func TestAFilmHasItsSubtitlesAPosterAndTiles(t *testing.T) {
	const srt = "1\n00:00:01,000 --> 00:00:03,000\nÉins\n\n2\n00:01:05,000 --> 00:01:06,000\nZwei\n"
	file := film(t, "film.mkv", srt, "-f", "lavfi", "-i", "color=black:s=320x180:r=5:d=70,geq=lum='255*mod(floor(T/10),2)':cb=128:cr=128",
		"-f", "lavfi", "-i", "sine=d=70", "-i", "IN.srt", "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-c:a", "flac", "-c:s", "srt",
		"-metadata:s:s:0", "language=ger", "-pix_fmt", "yuv420p")
	m, kept := cutFile(t, file, vstack.LevelFormats, Subtitles{Language: "en", Data: []byte("WEBVTT\n\n00:02.000 --> 00:04.000\nOne\n")}, Subtitles{Data: []byte("no subtitles")})
	text := func(tr vstack.Track) (s string) {
		for _, c := range tr.Chunks {
			s += string(kept.chunks[vstack.Slot{Video: m.Video, Track: tr.Number, Seq: c.Seq}])
		}
		return s
	}
	byKind := map[vstack.TrackKind][]vstack.Track{}
	for _, tr := range m.Tracks {
		byKind[tr.Kind] = append(byKind[tr.Kind], tr)
	}
	texts, pictures := byKind[vstack.TrackText], byKind[vstack.TrackImage]
	if len(texts) != 2 || len(pictures) != 2 {
		t.Fatalf("%d tracks of text, %d of pictures; warnings %q", len(texts), len(pictures), kept.warnings)
	}
	if de := texts[0]; de.Language != "de" || len(de.Chunks) != 2 || text(de) != "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nÉins\nWEBVTT\n\n00:01:05.000 --> 00:01:06.000\nZwei\n" {
		t.Errorf("the file's own: %q, %d chunks, %q", de.Language, len(de.Chunks), text(de))
	}
	if en := texts[1]; en.Language != "en" || text(en) != "WEBVTT\n\n00:00:02.000 --> 00:00:04.000\nOne\n" {
		t.Errorf("given beside it: %q, %q", en.Language, text(en))
	}
	if !slices.ContainsFunc(kept.warnings, func(w string) bool { return strings.Contains(w, "subtitles 2 left out") }) {
		t.Errorf("nothing says that the third is none: %q", kept.warnings)
	}
	poster, tiles := pictures[0], pictures[1]
	// The poster is of 7 s: the first, black. Tiles are of every 2 s: 0 to 8 black, 10 to 18 white.
	if p := picture(t, text(poster)); p.Bounds().Dx() != 320 || p.Bounds().Dy() != 180 || bright(p, 160, 90) {
		t.Errorf("poster %v, bright %v", p.Bounds(), bright(p, 160, 90))
	}
	if tiles.Columns != 5 || tiles.Rows != 5 || len(tiles.Chunks) != 2 || tiles.Chunks[0].Duration != 50_000 {
		t.Fatalf("tiles %d × %d, %d sheets of %d ms", tiles.Columns, tiles.Rows, len(tiles.Chunks), tiles.Chunks[0].Duration)
	}
	for i, c := range tiles.Chunks {
		sheet := picture(t, string(kept.chunks[vstack.Slot{Video: m.Video, Track: tiles.Number, Seq: c.Seq}]))
		if sheet.Bounds().Dx() != tiles.Width || sheet.Bounds().Dy() != tiles.Height {
			t.Errorf("sheet of %v, the manifest says %d × %d", sheet.Bounds(), tiles.Width, tiles.Height)
		}
		for k := range 25 {
			if at := (25*i + k) * 2; at < 70 && bright(sheet, k%5*160+80, k/5*90+45) != (at/10%2 == 1) {
				t.Errorf("the tile of %d s is not of its time", at)
			}
		}
	}
	again, _ := cutFile(t, file, vstack.LevelFormats, Subtitles{Language: "en", Data: []byte("WEBVTT\n\n00:02.000 --> 00:04.000\nOne\n")})
	if again.Tracks[len(again.Tracks)-1].Chunks[0].ID != tiles.Chunks[0].ID {
		t.Error("cut again, the tiles differ")
	}
	old, said := cutFile(t, file, vstack.LevelFirst)
	if len(old.Tracks) != 2 || !slices.ContainsFunc(said.warnings, func(w string) bool { return strings.Contains(w, "feature level") }) {
		t.Errorf("below the level: %d tracks, %q", len(old.Tracks), said.warnings)
	}
}

// TestSoundAloneHasNoPictures has nothing to make one of.
func TestSoundAloneHasNoPictures(t *testing.T) {
	m, kept := cutFile(t, film(t, "tone.m4a", "", "-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"), vstack.LevelFormats)
	if len(m.Tracks) != 1 || len(kept.warnings) != 0 {
		t.Errorf("%d tracks, %q", len(m.Tracks), kept.warnings)
	}
}

func picture(t *testing.T, b string) image.Image {
	t.Helper()
	p, err := jpeg.Decode(strings.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bright(p image.Image, x, y int) bool {
	r, _, _, _ := p.At(x, y).RGBA()
	return r > 0x8000
}

func TestPicturesAreToldApart(t *testing.T) {
	var one bytes.Buffer
	if err := jpeg.Encode(&one, image.NewGray(image.Rect(0, 0, 40, 40)), nil); err != nil {
		t.Fatal(err)
	}
	two := slices.Concat(one.Bytes(), one.Bytes())
	var got [][]byte
	if err := jpegs(bytes.NewReader(two), func(b []byte) error { got = append(got, b); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !bytes.Equal(got[0], one.Bytes()) || !bytes.Equal(got[1], one.Bytes()) {
		t.Errorf("%d pictures", len(got))
	}
	for name, b := range map[string][]byte{"ends early": two[:len(two)-1], "is something else": []byte("GIF89a"), "has something behind it": append(slices.Clone(two), 0)} {
		if err := jpegs(bytes.NewReader(b), func([]byte) error { return nil }); err == nil {
			t.Errorf("what %s is taken", name)
		}
	}
	broken := errors.New("broken")
	if err := jpegs(bytes.NewReader(two), func([]byte) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("an error of who takes them: %v", err)
	}
}
