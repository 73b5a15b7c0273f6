package manifest

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func video(n int) vstack.VideoID { return vstack.VideoID{2, byte(n >> 8), byte(n)} }

func manifestOf(n, chunks int) *vstack.Manifest {
	tr := vstack.Track{Number: 3, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 90000, FrameRate: 29.97, Init: vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 600}}
	for i := range chunks {
		tr.Chunks = append(tr.Chunks, vstack.ChunkRef{Seq: uint32(i + 1), ID: vstack.ChunkID{7, byte(n), byte(i >> 8), byte(i)}, Size: 1000, Start: int64(i) * 9000, Duration: 9000})
	}
	return &vstack.Manifest{Version: 1, Video: video(n), Duration: 0.1 * float64(chunks), Tracks: []vstack.Track{tr}}
}

func TestCheckManifestAcceptsWhatUploadsMake(t *testing.T) {
	m := manifestOf(1, 3)
	m.Tracks[0].Chunks[2].Start += 5000 // a gap in time is a pause, not an error
	m.Tracks = append(m.Tracks,
		vstack.Track{Number: 0, Kind: vstack.TrackAudio, Timescale: 48000, Init: vstack.ChunkRef{ID: vstack.ChunkID{1}, Size: 10}, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{2}, Size: 1, Duration: 1}}},
		vstack.Track{Number: 9, Kind: vstack.TrackOriginal, Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{3}, Size: vstack.ChunkSize}, {Seq: 2, ID: vstack.ChunkID{3}, Size: vstack.ChunkSize}}})
	s, err := Check(m, video(1))
	if err != nil || s.Chunks != 8 || s.Size != 600+3*1000+10+1+2*vstack.ChunkSize {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestCheckManifestRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*vstack.Manifest){
		"another version":   func(m *vstack.Manifest) { m.Version = 3 },
		"no version":        func(m *vstack.Manifest) { m.Version = 0 },
		"text in version 1": func(m *vstack.Manifest) { m.Tracks[0].Kind = vstack.TrackText },
		"a display size in version 1": func(m *vstack.Manifest) {
			m.Tracks[0].DisplayWidth, m.Tracks[0].DisplayHeight = 640, 360
		},
		"leaves in version 1":      func(m *vstack.Manifest) { m.Tracks[0].Chunks[1].Leaves[0] = 1 },
		"init leaves in version 1": func(m *vstack.Manifest) { m.Tracks[0].Init.Leaves[0] = 1 },
		"fragments in version 1": func(m *vstack.Manifest) {
			m.Tracks[0].Chunks[1].Fragments = []vstack.Fragment{{Size: 1000, Duration: 9000}}
		},
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
			c := make([]vstack.ChunkRef, MaxChunks+1)
			for i := range c {
				c[i] = vstack.ChunkRef{Seq: uint32(i + 1), ID: vstack.ChunkID{1}, Size: 1, Start: int64(i), Duration: 1}
			}
			m.Tracks[0].Chunks = c
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := manifestOf(1, 3)
			spoil(m)
			if _, err := Check(m, video(1)); !errors.Is(err, vstack.ErrManifestInvalid) {
				t.Errorf("answered %v", err)
			}
		})
	}
}

// FuzzCheckManifest wants every accepted manifest to keep the rules that players and
// acceptors rely on.
func FuzzCheckManifest(f *testing.F) {
	for _, m := range []*vstack.Manifest{manifestOf(1, 3), manifestOf(1, 0), {Version: 1, Video: video(1)}} {
		b, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m vstack.Manifest
		if json.Unmarshal(b, &m) != nil {
			return
		}
		stats, err := Check(&m, video(1))
		if err != nil {
			if !errors.Is(err, vstack.ErrManifestInvalid) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		slots := map[vstack.Slot]bool{}
		var size int64
		for s, c := range m.Slots {
			if slots[s] || s.Video != video(1) || c.Size == 0 || c.Size > vstack.MaxChunkSize || c.ID.IsZero() {
				t.Fatalf("accepted slot %s: %+v", s, c)
			}
			slots[s] = true
			size += int64(c.Size)
		}
		if len(slots) != stats.Chunks || size != stats.Size || len(slots) == 0 {
			t.Fatalf("stats %+v of %d slots, %d bytes", stats, len(slots), size)
		}
	})
}
