package playlist

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Part is the piece of a segment that lies in one chunk.
type Part struct {
	Chunk  int // index in Track.Chunks
	Offset int // bytes into the chunk
	Length int // bytes
}

// Segment is what a player asks for at once.
type Segment struct {
	Start    int64 // presentation start, ticks
	Duration int64 // ticks
	Parts    []Part
	// Key is how many bytes from the segment's beginning hold its first picture: the
	// fragment's head and the keyframe. 0 when that is not known.
	Key int
}

// Size is the segment's length in bytes.
func (s Segment) Size() int64 {
	var n int64
	for _, p := range s.Parts {
		n += int64(p.Length)
	}
	return n
}

// piece is a run of bytes that is never split: a fragment, or a whole chunk of a
// manifest that does not say where its fragments are.
type piece struct {
	Part
	start, duration int64
	opens           bool // a segment may begin here
	key             int
}

// Segments lists the segments of a track in playing order. There is no gap and no
// overlap between their bytes: together they are the track without its init chunk.
func Segments(t *vstack.Track) []Segment {
	var out []Segment
	for _, p := range pieces(t) {
		if len(out) == 0 || p.opens {
			out = append(out, Segment{Start: p.start, Key: p.key})
		}
		s := &out[len(out)-1]
		s.Duration = p.start + p.duration - s.Start
		if last := len(s.Parts) - 1; last >= 0 && s.Parts[last].Chunk == p.Chunk {
			s.Parts[last].Length += p.Length
		} else {
			s.Parts = append(s.Parts, p.Part)
		}
	}
	return out
}

// At finds the segment that starts at a time; false when none does.
func At(list []Segment, start int64) (Segment, bool) {
	i, ok := slices.BinarySearchFunc(list, start, func(s Segment, at int64) int {
		switch {
		case s.Start < at:
			return -1
		case s.Start > at:
			return 1
		}
		return 0
	})
	if !ok {
		return Segment{}, false
	}
	return list[i], true
}

// soundSeconds is how long a segment of sound lasts at least: sound may be entered at
// any fragment, so that its segments follow a time instead of cut points.
const soundSeconds = 4

// pieces lists what a track's segments are made of, in playing order.
func pieces(t *vstack.Track) []piece {
	var out []piece
	opened := int64(0) // where the sound's last segment began
	for i, c := range t.Chunks {
		if len(c.Fragments) == 0 {
			opens := c.Keyframe || t.Kind != vstack.TrackVideo
			out = append(out, piece{Part: Part{i, 0, int(c.Size)}, start: c.Start, duration: c.Duration, opens: opens})
			continue
		}
		at, start := 0, c.Start
		for _, f := range c.Fragments {
			p := piece{Part: Part{i, at, int(f.Size)}, start: start, duration: f.Duration, opens: f.CutPoint, key: int(f.Lead)}
			if t.Kind != vstack.TrackVideo {
				p.opens = start-opened >= soundSeconds*int64(t.Timescale)
				if p.opens {
					opened = start
				}
			}
			out = append(out, p)
			at, start = at+int(f.Size), start+f.Duration
		}
	}
	return out
}
