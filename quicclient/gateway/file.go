package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/mp4"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// layout is a virtual file: a head that is made on request, then units of chunks. Its
// sizes follow from the manifest, so any range can be served alone.
type layout struct {
	tracks []playlist.Track // in the order of their numbers in the file
	units  []unit
	index  []byte // of a joined file, what stands between head and units
	joined bool
}

// unit is a run of one track's bytes in one chunk.
type unit struct {
	track  int // index in layout.tracks
	part   playlist.Part
	number uint32 // of its first fragment, for the joined file
}

// trackLayout is init and chunks of one track, one behind the other.
func trackLayout(t playlist.Track) layout {
	l := layout{tracks: []playlist.Track{t}}
	for i, c := range t.Chunks {
		l.units = append(l.units, unit{part: playlist.Part{Chunk: i, Length: int(c.Size)}})
	}
	return l
}

// size is the bytes of all units.
func (l layout) size() int64 {
	var n int64
	for _, u := range l.units {
		n += int64(u.part.Length)
	}
	return n
}

// runs lists what has to be sent for length bytes from an offset into the units.
func (l layout) runs(video vstack.VideoID, offset, length int64) []run {
	var out []run
	at := int64(0)
	for _, u := range l.units {
		size := int64(u.part.Length)
		if at+size > offset && at < offset+length {
			from := max(offset-at, 0)
			r := partRun(video, l.tracks[u.track], u.part)
			r.skip, r.take = int(from), int(min(offset+length-at, size)-from)
			if l.joined { // its tracks have numbers of their own
				r.rewrite = func(b []byte) ([][]byte, error) { return mp4.Renumber(b, uint32(u.track+1), u.number) }
			}
			out = append(out, r)
		}
		if at += size; at >= offset+length {
			break
		}
	}
	return out
}

// partRun is a part of a track's chunk as it is.
func partRun(video vstack.VideoID, t playlist.Track, p playlist.Part) run {
	ref := t.Chunks[p.Chunk]
	return run{slot: vstack.Slot{Video: video, Track: t.Number, Seq: ref.Seq}, ref: ref, offset: p.Offset, length: p.Length}
}

// head makes what stands before the units: the init chunk, or the joined ones with the
// index.
func (l layout) head(ctx context.Context, g *Gateway, f *film) ([]byte, error) {
	var inits [][]byte
	for _, t := range l.tracks {
		b, err := g.initOf(ctx, f, t)
		if err != nil {
			return nil, err
		}
		inits = append(inits, b)
	}
	if !l.joined {
		return inits[0], nil
	}
	head, err := mp4.JoinInits(inits, f.Duration)
	if err != nil {
		return nil, err
	}
	return slices.Concat(head, l.index), nil
}

// initOf reads a track's init chunk.
func (g *Gateway) initOf(ctx context.Context, f *film, t playlist.Track) ([]byte, error) {
	if t.Init.ID.IsZero() {
		return nil, fmt.Errorf("track %d: init chunk: %w", t.Number, vstack.ErrNotFound)
	}
	b, err := g.chunks.get(ctx, vstack.Slot{Video: f.manifest.Video, Track: t.Number, Seq: t.Init.Seq}, t.Init)
	if err != nil || !strings.HasPrefix(t.Codec, "hev1.") {
		return b, err
	}
	return mp4.HVC1(b) // playlists call it so
}
