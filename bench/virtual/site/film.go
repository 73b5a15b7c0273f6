package site

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Film is a video of one track in memory. It may be shared by sites.
type Film struct {
	Manifest *vstack.Manifest
	Data     map[vstack.ChunkID][]byte
	Tables   map[vstack.ChunkID]vstack.LeafTable
}

// fragmentTime is how long a fragment plays.
const fragmentTime = time.Second

// NewFilm makes a film of a bit rate, in bits a second, as the uploader cuts one:
// fragments of a second, or of 1 MiB where that is less, whose sizes vary by a third; chunks
// of whole fragments within 2 MiB and 10 s; leaves and fragments in the manifest. Its bytes
// are drawn from the seed.
func NewFilm(seed uint64, bitrate float64, length time.Duration) *Film {
	r := rand.New(rand.NewPCG(seed, 3))
	f := &Film{Data: map[vstack.ChunkID][]byte{}, Tables: map[vstack.ChunkID]vstack.LeafTable{}}
	each := min(fragmentTime, time.Duration(float64(1<<20)*8/bitrate*float64(time.Second)/1.2))
	tr := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Timescale: 1000, Bitrate: int64(bitrate)}
	var frags []vstack.Fragment
	var bytes, at, began int64
	flush := func() {
		if len(frags) == 0 {
			return
		}
		data := drawn(r, int(bytes))
		ref := vstack.ChunkRef{
			Seq: uint32(len(tr.Chunks) + 1), ID: vstack.ChunkIDOf(data), Size: uint32(bytes), Start: began, Duration: at - began,
			Keyframe: true, Fragments: frags,
		}
		f.Data[ref.ID], f.Tables[ref.ID] = data, vstack.LeavesOf(data)
		ref.Leaves = f.Tables[ref.ID].Root()
		tr.Chunks = append(tr.Chunks, ref)
		frags, bytes, began = nil, 0, at
	}
	for at < length.Milliseconds() {
		n := int64(bitrate / 8 * each.Seconds() * (5 + 2*r.Float64()) / 6)
		if bytes+n > vstack.ChunkSize || at-began+each.Milliseconds() > vstack.MaxChunkDuration.Milliseconds() {
			flush()
		}
		frags = append(frags, vstack.Fragment{Size: uint32(n), Duration: each.Milliseconds(), Keyframe: true})
		bytes += n
		at += each.Milliseconds()
	}
	flush()
	f.Manifest = &vstack.Manifest{
		Version: vstack.ManifestTable, Video: vstack.VideoID{0xf1, byte(seed)}, Duration: float64(at) / 1000, Tracks: []vstack.Track{tr},
	}
	return f
}

// drawn are n bytes that no other call gives.
func drawn(r *rand.Rand, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}
