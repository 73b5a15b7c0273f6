package stream

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// cmafTrack has ffmpeg make one track as the uploader stores it: an init chunk, fragments.
func cmafTrack(t *testing.T, name string, args ...string) (init, rest []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"-v", "error", "-f", "lavfi"}, args...), "-movflags", "+frag_keyframe+empty_moov+default_base_moof+cmaf", file)
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg is needed (make deps): %v %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("moof"))
	if at < 4 {
		t.Fatalf("%s has no fragment", name)
	}
	return b[:at-4], b[at-4:]
}

func TestAStreamHasPictureAndSound(t *testing.T) {
	vInit, vRest := cmafTrack(t, "v.mp4", "-i", "testsrc2=size=160x90:rate=25:duration=2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25")
	aInit, aRest := cmafTrack(t, "a.mp4", "-i", "sine=frequency=440:duration=2", "-c:a", "aac")
	m := &vstack.Manifest{Duration: 2, Tracks: []vstack.Track{
		{Number: 4, Kind: vstack.TrackAudio, Chunks: make([]vstack.ChunkRef, 1)}, {Number: 7, Kind: vstack.TrackVideo, Chunks: make([]vstack.ChunkRef, 1)}}}
	tracks, err := Tracks(m)
	if err != nil || len(tracks) != 2 || tracks[0] != 7 {
		t.Fatalf("tracks %v, %v: want the picture first", tracks, err)
	}
	var out bytes.Buffer
	s := New(m, tracks, &out)
	for _, c := range []struct {
		track uint16
		data  []byte
	}{{4, aInit}, {4, aRest}, {7, vInit}, {7, vRest}} { // the sound comes whole before the picture begins
		buf := bytes.Clone(c.data)
		if err := s.Chunk(context.Background(), vstack.Track{Number: c.track}, vstack.ChunkRef{}, buf); err != nil {
			t.Fatal(err)
		}
		clear(buf) // it is the playback's again
	}
	probe := exec.Command("ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_type,nb_read_packets", "-of", "csv=p=0", "-")
	probe.Stdin = &out
	said, err := probe.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "video,50") || !strings.Contains(string(said), "audio,") || strings.Contains(string(said), "audio,0") {
		t.Errorf("ffprobe says %q, %v: want 50 pictures and sound", said, err)
	}
}

func TestFragmentsStandInTheOrderOfTheirTimes(t *testing.T) {
	box := func(kind string, body string) []byte {
		b := append([]byte{0, 0, 0, byte(8 + len(body))}, kind...)
		return append(b, body...)
	}
	m := &vstack.Manifest{Tracks: []vstack.Track{
		{Number: 1, Kind: vstack.TrackVideo, Timescale: 100, Chunks: []vstack.ChunkRef{
			{Start: 0, Duration: 700, Fragments: []vstack.Fragment{{Size: 11, Duration: 300}, {Size: 11, Duration: 400}}}, {Start: 700, Duration: 700},
		}},
		{Number: 2, Kind: vstack.TrackAudio, Timescale: 10, Chunks: []vstack.ChunkRef{{Start: 0, Duration: 60}, {Start: 60, Duration: 60}, {Start: 120, Duration: 60}}},
	}}
	var out bytes.Buffer
	s := New(m, []uint16{1, 2}, &out)
	s.begun, s.lanes[0].init, s.lanes[1].init = true, []byte{1}, []byte{1} // as after the head
	order := func() string {
		var got []string
		for b := out.Bytes(); len(b) >= 8; b = b[b[3]:] {
			got = append(got, string(b[8:b[3]]))
		}
		return strings.Join(got, " ")
	}
	for _, c := range []struct {
		track, chunk int
		body         string
		last         bool
		want         string // what is written by then
	}{
		{1, 0, "a00", true, ""}, // the picture that begins with it has to come
		{0, 0, "v00", false, "v00 a00"},
		{1, 1, "a06", true, "v00 a00"}, // a part of the picture before it has to come
		{0, 0, "v03", true, "v00 a00 v03 a06"},
		{0, 1, "v07", true, "v00 a00 v03 a06 v07"}, // the sound comes to it at 12 s
		{1, 2, "a12", true, "v00 a00 v03 a06 v07 a12"},
	} {
		tr := m.Tracks[c.track]
		buf := box("mdat", c.body)
		if err := s.Fragment(context.Background(), tr, tr.Chunks[c.chunk], buf, c.last); err != nil {
			t.Fatal(err)
		}
		clear(buf) // it is the playback's again
		if got := order(); got != c.want {
			t.Errorf("after %s: order %q, want %q", c.body, got, c.want)
		}
	}
	if err := s.Chunk(context.Background(), m.Tracks[0], vstack.ChunkRef{}, box("mdat", "v14")); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a chunk that the manifest does not have: error %v", err)
	}
}
