package playlist

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/internal/vstack"
)

var update = flag.Bool("update", false, "write the golden files anew")

// table is a film of version 2: two renditions that share their cut points, two languages.
// Chunk 2 begins in the middle of a segment, as chunks are cut by size.
func table() *vstack.Manifest {
	frag := func(size uint32, d int64, cut bool) vstack.Fragment {
		f := vstack.Fragment{Size: size, Duration: d, CutPoint: cut, Keyframe: cut}
		if cut {
			f.Lead = size / 2
		}
		return f
	}
	chunk := func(seq uint32, start int64, frags ...vstack.Fragment) vstack.ChunkRef {
		c := vstack.ChunkRef{Seq: seq, ID: vstack.ChunkID{byte(seq)}, Start: start, Fragments: frags, Keyframe: frags[0].Keyframe}
		for _, f := range frags {
			c.Size += f.Size
			c.Duration += f.Duration
		}
		return c
	}
	video := func(n uint16, scale uint32) vstack.Track {
		s := func(size uint32) uint32 { return size * scale }
		wide := vstack.TrackDetails{DisplayWidth: int(640 * scale), DisplayHeight: int(360 * scale), SampleAspect: vstack.Ratio{Num: 4, Den: 3}}
		return vstack.Track{
			TrackDetails: wide, Number: n, Kind: vstack.TrackVideo, Codec: "avc1.64001f", Name: "source", Timescale: 90000, FrameRate: 29.97002997,
			Width: int(480 * scale), Height: int(360 * scale), Init: vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 700},
			Chunks: []vstack.ChunkRef{
				chunk(1, 0, frag(s(1000), 90000*4, true), frag(s(3000), 90000*2, true)),
				chunk(2, 90000*6, frag(s(500), 90000*2, false), frag(s(2000), 90000*3, true)),
			},
		}
	}
	sound := func(n uint16, lang string) vstack.Track {
		return vstack.Track{
			Number: n, Kind: vstack.TrackAudio, Codec: "mp4a.40.2", Language: lang, Timescale: 48000, SampleRate: 48000, Channels: 2,
			Init:   vstack.ChunkRef{ID: vstack.ChunkID{8}, Size: 600},
			Chunks: []vstack.ChunkRef{chunk(1, 0, frag(100, 48000*3, true), frag(110, 48000*3, true), frag(90, 48000*5, true))},
		}
	}
	return &vstack.Manifest{
		Version: vstack.ManifestTable, Duration: 11,
		Tracks: append([]vstack.Track{video(1, 1), video(2, 3), sound(3, "en"), sound(4, "pt-BR"), {Number: 5, Kind: vstack.TrackOriginal}}, beside()...),
	}
}

// beside are two subtitles of one language, one of them forced, a poster and tiles.
func beside() []vstack.Track {
	ref := func(seq uint32, size uint32, start, duration int64) vstack.ChunkRef {
		return vstack.ChunkRef{Seq: seq, ID: vstack.ChunkID{byte(seq)}, Size: size, Start: start, Duration: duration}
	}
	text := func(n uint16, forced bool) vstack.Track {
		return vstack.Track{Number: n, Kind: vstack.TrackText, Codec: "wvtt", Language: "de", Timescale: 1000, TrackDetails: vstack.TrackDetails{Forced: forced},
			Chunks: []vstack.ChunkRef{ref(1, 500, 0, 6000), ref(2, 400, 6000, 5000)}}
	}
	return []vstack.Track{
		text(6, false), text(7, true),
		{Number: 8, Kind: vstack.TrackImage, Codec: "jpeg", Timescale: 1000, Width: 1280, Height: 720, TrackDetails: vstack.TrackDetails{Columns: 1, Rows: 1}, Chunks: []vstack.ChunkRef{ref(1, 9000, 0, 11000)}},
		{Number: 9, Kind: vstack.TrackImage, Codec: "jpeg", Timescale: 1000, Width: 320, Height: 180, TrackDetails: vstack.TrackDetails{Columns: 2, Rows: 2},
			Chunks: []vstack.ChunkRef{ref(1, 7000, 0, 8000), ref(2, 5000, 8000, 8000)}},
	}
}

// first is a film of version 1, whose third chunk starts without a keyframe.
func first() *vstack.Manifest {
	return &vstack.Manifest{Version: vstack.ManifestFirst, Duration: 9, Tracks: []vstack.Track{{
		Number: 1, Kind: vstack.TrackVideo, Codec: "hev1.1.6.L93.B0", Timescale: 1000, Width: 320, Height: 240,
		Init: vstack.ChunkRef{ID: vstack.ChunkID{7}, Size: 500},
		Chunks: []vstack.ChunkRef{
			{Seq: 1, Size: 10, Start: 0, Duration: 2000, Keyframe: true},
			{Seq: 2, Size: 20, Start: 2000, Duration: 3000, Keyframe: true},
			{Seq: 3, Size: 30, Start: 5000, Duration: 4000},
		},
	}}}
}

func TestSegmentsGoFromCutPointToCutPoint(t *testing.T) {
	m := table()
	want := []Segment{
		{Start: 0, Duration: 90000 * 4, Parts: []Part{{0, 0, 1000}}, Key: 500},
		{Start: 90000 * 4, Duration: 90000 * 4, Parts: []Part{{0, 1000, 3000}, {1, 0, 500}}, Key: 1500},
		{Start: 90000 * 8, Duration: 90000 * 3, Parts: []Part{{1, 500, 2000}}, Key: 1000},
	}
	if diff := cmp.Diff(want, Segments(&m.Tracks[0])); diff != "" {
		t.Error(diff)
	}
	if _, ok := At(want, 90000*4); !ok {
		t.Error("the segment at its own start is not found")
	}
	if _, ok := At(want, 90000*4+1); ok {
		t.Error("a segment is found between two starts")
	}
}

func TestSegmentsOfWholeChunksEndBeforeTheNextKeyframe(t *testing.T) {
	want := []Segment{
		{Start: 0, Duration: 2000, Parts: []Part{{0, 0, 10}}},
		{Start: 2000, Duration: 7000, Parts: []Part{{1, 0, 20}, {2, 0, 30}}},
	}
	if diff := cmp.Diff(want, Segments(&first().Tracks[0])); diff != "" {
		t.Error(diff)
	}
}

func TestSoundSegmentsLastFourSecondsAtLeast(t *testing.T) {
	want := []Segment{
		{Start: 0, Duration: 48000 * 6, Parts: []Part{{0, 0, 210}}, Key: 50},
		{Start: 48000 * 6, Duration: 48000 * 5, Parts: []Part{{0, 210, 90}}, Key: 45},
	}
	if diff := cmp.Diff(want, Segments(&table().Tracks[2])); diff != "" {
		t.Error(diff)
	}
}

func TestPlaylistsEqualTheGoldenFiles(t *testing.T) {
	v2, v1 := NewFilm(table()), NewFilm(first())
	steered := []Pathway{{"h1", "./"}, {"h2", "https://h2:8888/play/x/"}}
	mpd := func(f *Film, paths ...Pathway) string {
		b, err := f.MPD("https://h1:8888/play/x/", paths...)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, got := range map[string]string{
		"v2.master.m3u8": v2.Master(), "v2.video.m3u8": v2.Video[0].Media(), "v2.iframes.m3u8": v2.Video[0].IFrames(), "v2.text.m3u8": v2.Text[0].Media(), "v2.steered.m3u8": v2.Master(steered...), "v2.steered.mpd": mpd(v2, steered...), "v2.thumbs.vtt": v2.Thumbs(),
		"v2.mpd": mpd(v2), "v1.master.m3u8": v1.Master(), "v1.video.m3u8": v1.Video[0].Media(), "v1.mpd": mpd(v1),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := v1.Video[0].IFrames(); got != "" {
		t.Errorf("I-frames of a film that does not say where they are: %s", got)
	}
}

func TestFrameRatesAreFractionsThatPlayersKnow(t *testing.T) {
	for rate, want := range map[float64]string{25: "25", 30000.0 / 1001: "30000/1001", 24000.0 / 1001: "24000/1001", 12.5: "12500/1000"} {
		if got := frameRate(rate); got != want {
			t.Errorf("frame rate %v: %s, want %s", rate, got, want)
		}
	}
}
