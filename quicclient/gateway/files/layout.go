package files

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/body"
	"github.com/vstack/vstack/quicclient/gateway/mp4"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// Layout is a virtual file: a head that is made on request, then units of chunks. Its
// sizes follow from the manifest, so any range can be served alone.
type Layout struct {
	Tracks []playlist.Track // in the order of their numbers in the file
	units  []unit
	index  []byte // of a joined file, what stands between head and units
	joined bool
}

// unit is a run of one track's bytes in one chunk.
type unit struct {
	track  int // index in Layout.Tracks
	part   playlist.Part
	number uint32 // of its first fragment, for the joined file
}

// OfTrack is init and chunks of one track, one behind the other.
func OfTrack(t playlist.Track) Layout {
	l := Layout{Tracks: []playlist.Track{t}}
	for i, c := range t.Chunks {
		l.units = append(l.units, unit{part: playlist.Part{Chunk: i, Length: int(c.Size)}})
	}
	return l
}

// Size is the bytes of all units.
func (l Layout) Size() int64 {
	var n int64
	for _, u := range l.units {
		n += int64(u.part.Length)
	}
	return n
}

// Runs lists what has to be sent for length bytes from an offset into the units.
func (l Layout) Runs(video vstack.VideoID, offset, length int64) []body.Run {
	var out []body.Run
	at := int64(0)
	for _, u := range l.units {
		size := int64(u.part.Length)
		if at+size > offset && at < offset+length {
			from := max(offset-at, 0)
			r := Part(video, l.Tracks[u.track], u.part)
			r.Skip, r.Take = int(from), int(min(offset+length-at, size)-from)
			if l.joined { // its tracks have numbers of their own
				r.Rewrite = func(b []byte) ([][]byte, error) { return mp4.Renumber(b, uint32(u.track+1), u.number) }
			}
			out = append(out, r)
		}
		if at += size; at >= offset+length {
			break
		}
	}
	return out
}

// Part is a part of a track's chunk as it is.
func Part(video vstack.VideoID, t playlist.Track, p playlist.Part) body.Run {
	ref := t.Chunks[p.Chunk]
	return body.Run{Slot: vstack.Slot{Video: video, Track: t.Number, Seq: ref.Seq}, Ref: ref, Offset: p.Offset, Length: p.Length}
}

// Head makes what stands before the units of the tracks' init chunks: the one, or the joined ones
// with the index. duration is that of the film, in seconds.
func (l Layout) Head(inits [][]byte, duration float64) ([]byte, error) {
	if !l.joined {
		return inits[0], nil
	}
	head, err := mp4.JoinInits(inits, duration)
	if err != nil {
		return nil, err
	}
	return slices.Concat(head, l.index), nil
}
