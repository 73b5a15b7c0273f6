package playlist

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// Film is a manifest made ready for players: its tracks in the order in which a player
// should see them, each with its segments. It is immutable.
type Film struct {
	Duration float64 // seconds
	Video    []Track // renditions, best first
	Audio    []Track // default first
	Text     []Track // WebVTT, a document a chunk
	Poster   *Track  // one picture; nil if there is none
	Tiles    *Track  // sheets of small pictures; nil if there are none
}

// Track is one track of a Film.
type Track struct {
	*vstack.Track
	Segments []Segment
	// Peak and Mean are bits a second over about a target duration, and over the track.
	Peak, Mean int64
}

// NewFilm makes a manifest ready. Tracks that no player shows are left out.
func NewFilm(m *vstack.Manifest) *Film {
	f := &Film{Duration: m.Duration}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if len(t.Chunks) == 0 || t.Timescale == 0 {
			continue
		}
		switch t.Kind {
		case vstack.TrackVideo:
			f.Video = append(f.Video, newTrack(t))
		case vstack.TrackAudio:
			f.Audio = append(f.Audio, newTrack(t))
		case vstack.TrackText:
			f.Text = append(f.Text, newTrack(t))
		case vstack.TrackImage:
			one := newTrack(t)
			if t.Columns*t.Rows > 1 && f.Tiles == nil && t.Chunks[0].Duration > 0 {
				f.Tiles = &one
			} else if t.Columns*t.Rows <= 1 && f.Poster == nil {
				f.Poster = &one
			}
		}
	}
	slices.SortStableFunc(f.Video, func(a, b Track) int {
		aw, ah := a.shown()
		bw, bh := b.shown()
		return cmp.Or(cmp.Compare(bw*bh, aw*ah), cmp.Compare(b.Mean, a.Mean))
	})
	slices.SortStableFunc(f.Audio, func(a, b Track) int {
		switch {
		case a.Default == b.Default:
			return 0
		case a.Default:
			return -1
		}
		return 1
	})
	return f
}

func newTrack(t *vstack.Track) Track {
	out := Track{Track: t, Segments: Segments(t)}
	out.Peak, out.Mean = rates(out.Segments, t.Timescale)
	return out
}

// Track finds a track of any kind by its number.
func (f *Film) Track(number uint16) (Track, bool) {
	for _, list := range [][]Track{f.Video, f.Audio, f.Text} {
		for _, t := range list {
			if t.Number == number {
				return t, true
			}
		}
	}
	for _, t := range []*Track{f.Poster, f.Tiles} {
		if t != nil && t.Number == number {
			return *t, true
		}
	}
	return Track{}, false
}

// target is the longest segment's duration in whole seconds, as EXT-X-TARGETDURATION
// wants it: every duration rounds to at most this.
func (t Track) target() int64 {
	longest := int64(0)
	for _, s := range t.Segments {
		longest = max(longest, s.Duration)
	}
	scale := int64(t.Timescale)
	return max(1, (2*longest+scale)/(2*scale))
}

// rates are the peak and the mean bit rate. The peak is what RFC 8216 (4.3.4.2) calls
// peak segment bit rate: the largest of any run of segments that lasts between half and
// one and a half of the target duration.
func rates(list []Segment, timescale uint32) (peak, mean int64) {
	var bits, ticks, longest int64
	for _, s := range list {
		bits += 8 * s.Size()
		ticks += s.Duration
		longest = max(longest, s.Duration)
	}
	rate := func(bits, ticks int64) int64 {
		if ticks <= 0 {
			return 0
		}
		return int64(float64(bits) * float64(timescale) / float64(ticks))
	}
	mean = rate(bits, ticks)
	for i := range list {
		var b, d int64
		for _, s := range list[i:] {
			b, d = b+8*s.Size(), d+s.Duration
			if 2*d > 3*longest {
				break
			}
			if 2*d >= longest {
				peak = max(peak, rate(b, d))
			}
		}
	}
	return max(peak, mean), mean
}

// codecString is the codec as players want it: HEVC with its parameter sets in the
// sample entry, which is how the init chunk has it, is called hvc1.
func (t Track) codecString() string {
	if rest, ok := strings.CutPrefix(t.Codec, "hev1."); ok {
		return "hvc1." + rest
	}
	return t.Codec
}

// shown is the size of the picture in square pixels, as it is to be shown.
func (t Track) shown() (width, height int) {
	if t.DisplayWidth > 0 && t.DisplayHeight > 0 {
		return t.DisplayWidth, t.DisplayHeight
	}
	return t.Width, t.Height
}

// language is the RFC 5646 tag, "und" where the source names none.
func (t Track) language() string { return cmp.Or(t.Language, "und") }

// label is what a person picks a track by.
func (t Track) label() string {
	name := cmp.Or(t.Language, t.Name, fmt.Sprintf("Track %d", t.Number))
	return strings.Map(func(r rune) rune {
		if r == '"' || r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, name)
}
