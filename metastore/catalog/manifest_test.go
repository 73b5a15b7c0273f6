package catalog

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestCheckManifestAcceptsWhatUploadsMake(t *testing.T) {
	m := manifest(1, 3)
	m.Tracks[0].Chunks[2].Start += 5000 // a gap in time is a pause, not an error
	m.Tracks = append(m.Tracks,
		vstack.Track{Number: 0, Kind: vstack.TrackAudio, Timescale: 48000, Init: vstack.ChunkRef{ID: vstack.ChunkID{1}, Size: 10}, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{2}, Size: 1, Duration: 1}}},
		vstack.Track{Number: 9, Kind: vstack.TrackOriginal, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{3}, Size: vstack.ChunkSize}, {Seq: 2, ID: vstack.ChunkID{3}, Size: vstack.ChunkSize}}})
	s, err := CheckManifest(m, video(1))
	if err != nil || s.Chunks != 8 || s.Size != 600+3*1000+10+1+2*vstack.ChunkSize {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestCheckManifestRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*vstack.Manifest){
		"another version":   func(m *vstack.Manifest) { m.Version = 2 },
		"another video":     func(m *vstack.Manifest) { m.Video = video(2) },
		"no tracks":         func(m *vstack.Manifest) { m.Tracks = nil },
		"too many tracks":   func(m *vstack.Manifest) { m.Tracks = make([]vstack.Track, vstack.MaxTracks+1) },
		"endless duration":  func(m *vstack.Manifest) { m.Duration = math.Inf(1) },
		"no duration":       func(m *vstack.Manifest) { m.Duration = math.NaN() },
		"a track twice":     func(m *vstack.Manifest) { m.Tracks = append(m.Tracks, m.Tracks[0]) },
		"no chunks":         func(m *vstack.Manifest) { m.Tracks[0].Chunks = nil },
		"unknown kind":      func(m *vstack.Manifest) { m.Tracks[0].Kind = "smell" },
		"no timescale":      func(m *vstack.Manifest) { m.Tracks[0].Timescale = 0 },
		"long codec":        func(m *vstack.Manifest) { m.Tracks[0].Codec = strings.Repeat("x", 200) },
		"no init":           func(m *vstack.Manifest) { m.Tracks[0].Init = vstack.ChunkRef{} },
		"init not at 0":     func(m *vstack.Manifest) { m.Tracks[0].Init.Seq = 1 },
		"a gap in sequence": func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].Seq = 3 },
		"sequence from 0":   func(m *vstack.Manifest) { m.Tracks[0].Chunks[0].Seq = 0 },
		"overlapping times": func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].Start -= 1 },
		"backward duration": func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].Duration = -1 },
		"time overflow":     func(m *vstack.Manifest) { m.Tracks[0].Chunks[2].Start = math.MaxInt64 },
		"empty chunk":       func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].Size = 0 },
		"oversize chunk":    func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].Size = vstack.MaxChunkSize + 1 },
		"nameless chunk":    func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].ID = vstack.ChunkID{} },
		"one chunk two sizes": func(m *vstack.Manifest) {
			m.Tracks[0].Chunks[1].ID = m.Tracks[0].Chunks[0].ID
			m.Tracks[0].Chunks[1].Size++
		},
		"only an original": func(m *vstack.Manifest) {
			m.Tracks[0].Kind = vstack.TrackOriginal
			m.Tracks[0].Init = vstack.ChunkRef{}
		},
		"original with init": func(m *vstack.Manifest) { m.Tracks[0].Kind = vstack.TrackOriginal },
		"too many chunks": func(m *vstack.Manifest) {
			c := make([]vstack.ChunkRef, MaxManifestChunks+1)
			for i := range c {
				c[i] = vstack.ChunkRef{Seq: uint32(i + 1), ID: vstack.ChunkID{1}, Size: 1, Start: int64(i), Duration: 1}
			}
			m.Tracks[0].Chunks = c
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := manifest(1, 3)
			spoil(m)
			if _, err := CheckManifest(m, video(1)); !errors.Is(err, vstack.ErrManifestInvalid) {
				t.Errorf("answered %v", err)
			}
		})
	}
}
