package site

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Film is a video in memory. It may be shared by sites.
type Film struct {
	Manifest *vstack.Manifest
	Data     map[vstack.ChunkID][]byte
	Tables   map[vstack.ChunkID]vstack.LeafTable
}

const (
	// fragmentTime is how long a fragment plays.
	fragmentTime = time.Second
	// soundRate and soundFragment are those of a track beside the picture; initSize is that of
	// the chunk that a track's decoder starts with. All as the uploader makes them.
	soundRate     = 128e3
	soundFragment = 2 * time.Second
	initSize      = 900
)

// NewFilm makes a film of one track of a bit rate, in bits a second, as the uploader cuts one:
// fragments of a second, or of 1 MiB where that is less, whose sizes vary by a third; chunks
// of whole fragments within 2 MiB and 10 s; leaves and fragments in the manifest. Its bytes
// are drawn from the seed.
func NewFilm(seed uint64, bitrate float64, length time.Duration) *Film {
	f, r := newFilm(seed)
	each := min(fragmentTime, time.Duration(float64(1<<20)*8/bitrate*float64(time.Second)/1.2))
	f.add(vstack.Track{Number: 1, Kind: vstack.TrackVideo, Timescale: 1000, Bitrate: int64(bitrate)}, r, each, length)
	return f
}

// NewFilmWithSound is NewFilm with a track of sound beside the picture, and a chunk before
// each track that starts its decoder.
func NewFilmWithSound(seed uint64, bitrate float64, length time.Duration) *Film {
	f, r := newFilm(seed)
	each := min(fragmentTime, time.Duration(float64(1<<20)*8/bitrate*float64(time.Second)/1.2))
	for _, t := range []vstack.Track{
		{Number: 1, Kind: vstack.TrackVideo, Timescale: 1000, Bitrate: int64(bitrate)},
		{Number: 2, Kind: vstack.TrackAudio, Timescale: 1000, Bitrate: soundRate},
	} {
		t.Init = f.keep(drawn(r, initSize), vstack.ChunkRef{})
		if t.Kind == vstack.TrackAudio {
			each = soundFragment
		}
		f.add(t, r, each, length)
	}
	return f
}

func newFilm(seed uint64) (*Film, *rand.Rand) {
	return &Film{
		Manifest: &vstack.Manifest{Version: vstack.ManifestTable, Video: vstack.VideoID{0xf1, byte(seed)}},
		Data:     map[vstack.ChunkID][]byte{}, Tables: map[vstack.ChunkID]vstack.LeafTable{},
	}, rand.New(rand.NewPCG(seed, 3))
}

// keep names a chunk's bytes.
func (f *Film) keep(data []byte, ref vstack.ChunkRef) vstack.ChunkRef {
	ref.ID, ref.Size = vstack.ChunkIDOf(data), uint32(len(data))
	f.Data[ref.ID], f.Tables[ref.ID] = data, vstack.LeavesOf(data)
	ref.Leaves = f.Tables[ref.ID].Root()
	return ref
}

// add draws a track.
func (f *Film) add(tr vstack.Track, r *rand.Rand, each, length time.Duration) {
	var frags []vstack.Fragment
	var bytes, at, began int64
	flush := func() {
		if len(frags) == 0 {
			return
		}
		tr.Chunks = append(tr.Chunks, f.keep(drawn(r, int(bytes)), vstack.ChunkRef{
			Seq: uint32(len(tr.Chunks) + 1), Start: began, Duration: at - began, Keyframe: true, Fragments: frags,
		}))
		frags, bytes, began = nil, 0, at
	}
	for at < length.Milliseconds() {
		n := int64(float64(tr.Bitrate) / 8 * each.Seconds() * (5 + 2*r.Float64()) / 6)
		if bytes+n > vstack.ChunkSize || at-began+each.Milliseconds() > vstack.MaxChunkDuration.Milliseconds() {
			flush()
		}
		frags = append(frags, vstack.Fragment{Size: uint32(n), Duration: each.Milliseconds(), Keyframe: true})
		bytes += n
		at += each.Milliseconds()
	}
	flush()
	f.Manifest.Tracks = append(f.Manifest.Tracks, tr)
	f.Manifest.Duration = max(f.Manifest.Duration, float64(at)/1000)
}

// drawn are n bytes that no other call gives.
func drawn(r *rand.Rand, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}
