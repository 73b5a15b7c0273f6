package stream

import (
	"bytes"
	"context"
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

func TestChunksStandInTheOrderOfTheirTimes(t *testing.T) {
	box := func(kind string, body string) []byte {
		b := append([]byte{0, 0, 0, byte(8 + len(body))}, kind...)
		return append(b, body...)
	}
	m := &vstack.Manifest{Tracks: []vstack.Track{
		{Number: 1, Kind: vstack.TrackVideo, Chunks: make([]vstack.ChunkRef, 2)}, {Number: 2, Kind: vstack.TrackAudio, Chunks: make([]vstack.ChunkRef, 3)}}}
	var out bytes.Buffer
	s := New(m, []uint16{1, 2}, &out)
	s.begun, s.lanes[0].init, s.lanes[1].init = true, []byte{1}, []byte{1} // as after the head
	for _, c := range []struct {
		track uint16
		scale uint32
		start int64
		body  string
	}{{2, 10, 0, "a0"}, {2, 10, 60, "a6"}, {1, 100, 0, "v0"}, {2, 10, 120, "a12"}, {1, 100, 700, "v7"}} {
		if err := s.Chunk(context.Background(), vstack.Track{Number: c.track, Timescale: c.scale}, vstack.ChunkRef{Start: c.start}, box("mdat", c.body)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for b := out.Bytes(); len(b) >= 8; b = b[b[3]:] {
		got = append(got, string(b[8:b[3]]))
	}
	if order := strings.Join(got, " "); order != "v0 a0 a6 v7 a12" {
		t.Errorf("order %q, want v0 a0 a6 v7 a12", order)
	}
}
