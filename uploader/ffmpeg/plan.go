package ffmpeg

import (
	"fmt"
	"math"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Limits bound what is taken in. Zero fields get the defaults.
type Limits struct {
	// Duration of the media, in seconds; default 8 h.
	Duration float64
	// Side is the largest width or height, in pixels; default 8,192, H.264's own end.
	Side int
	// Tracks is the number of tracks, renditions included; default 32. It bounds a
	// job's memory: each track holds a chunk and a fragment.
	Tracks int
}

func (l Limits) withDefaults() Limits {
	if l.Duration == 0 {
		l.Duration = 8 * 3600
	}
	if l.Side == 0 {
		l.Side = 8192
	}
	if l.Tracks == 0 {
		l.Tracks = 32
	}
	return l
}

// renditions are the names that a client may ask for, with the length of the
// picture's short side; 0 is the size it has.
var renditions = map[string]int{"source": 0, "1080p": 1080, "720p": 720, "480p": 480, "360p": 360}

// ValidRendition reports whether a client may ask for a rendition of that name.
func ValidRendition(name string) bool { _, ok := renditions[name]; return ok }

// Track is one output of a plan.
type Track struct {
	Number   uint16 // from 1
	Kind     vstack.TrackKind
	Name     string // rendition, or "source" for sound
	Language string
	Stream   Stream
	Copy     bool
	Width    int // of the converted picture; 0 for copies
	Height   int
}

// Plan says what becomes of each stream.
type Plan struct {
	Tracks   []Track
	Duration float64 // seconds, 0 if the file does not say
	Warnings []string
}

// NewPlan decides for each stream whether it is copied, converted or left out.
// names are renditions (ValidRendition); none means "source". Media outside the
// limits is ErrMediaUnfit.
func NewPlan(m Media, names []string, limits Limits) (Plan, error) {
	limits = limits.withDefaults()
	p := Plan{Duration: m.Duration, Warnings: slices.Clone(m.Warnings)}
	if m.Duration > limits.Duration {
		return Plan{}, fmt.Errorf("plan: %w: %.0f s long, at most %.0f s", vstack.ErrMediaUnfit, m.Duration, limits.Duration)
	}
	if len(names) == 0 {
		names = []string{"source"}
	}
	for _, s := range m.Streams {
		switch {
		case !s.playable():
			p.Warnings = append(p.Warnings, leftOut(s))
		case s.Kind == "video":
			if s.Width > limits.Side || s.Height > limits.Side {
				return Plan{}, fmt.Errorf("plan: %w: stream %d is %d×%d, at most %d a side", vstack.ErrMediaUnfit, s.Index, s.Width, s.Height, limits.Side)
			}
			p.addVideo(m, s, names)
		default:
			p.Tracks = append(p.Tracks, Track{Kind: vstack.TrackAudio, Name: "source", Language: s.Language, Stream: s, Copy: copiesAudio(s)})
		}
	}
	if len(p.Tracks) == 0 {
		return Plan{}, fmt.Errorf("plan: %w", vstack.ErrNoStreams)
	}
	if len(p.Tracks) > limits.Tracks {
		return Plan{}, fmt.Errorf("plan: %w: %d tracks, at most %d", vstack.ErrMediaUnfit, len(p.Tracks), limits.Tracks)
	}
	for i := range p.Tracks {
		p.Tracks[i].Number = uint16(i + 1)
	}
	return p, nil
}

func leftOut(s Stream) string {
	what := s.Kind
	if s.Picture {
		what = "attached picture"
	}
	codec := s.Codec
	if codec == "" {
		codec = "unknown codec"
	}
	return fmt.Sprintf("stream %d left out: %s (%s)", s.Index, what, codec)
}

// addVideo adds the renditions of one video stream. One that would enlarge the picture
// is left out; if nothing else was asked for, the source takes its place.
func (p *Plan) addVideo(m Media, s Stream, names []string) {
	short := min(s.Width, s.Height)
	added := 0
	for _, name := range names {
		side := renditions[name]
		if side != 0 && side >= short {
			p.Warnings = append(p.Warnings, fmt.Sprintf("rendition %s left out: stream %d is only %d×%d", name, s.Index, s.Width, s.Height))
			continue
		}
		p.Tracks = append(p.Tracks, videoTrack(m, s, name, side))
		added++
	}
	if added == 0 {
		p.Tracks = append(p.Tracks, videoTrack(m, s, "source", 0))
	}
}

func videoTrack(m Media, s Stream, name string, side int) Track {
	t := Track{Kind: vstack.TrackVideo, Name: name, Language: s.Language, Stream: s}
	if side == 0 && copiesVideo(m, s) {
		t.Copy = true
		return t
	}
	w, h := s.Width, s.Height
	if s.Rotation%180 != 0 { // the decoder turns the picture upright
		w, h = h, w
	}
	if side != 0 {
		scale := float64(side) / float64(min(w, h))
		w, h = int(math.Round(float64(w)*scale)), int(math.Round(float64(h)*scale))
	}
	t.Width, t.Height = max(2, w&^1), max(2, h&^1) // 4:2:0 needs even sides
	return t
}

// copiesVideo says whether Chromium plays the stream from fragmented MP4 as it is:
// H.264 with 8 bits 4:2:0, VP9 profiles 0 and 2, AV1 main. HEVC it does not play.
func copiesVideo(m Media, s Stream) bool {
	switch s.Codec {
	case "h264":
		// AVI stores no presentation times, so reordered frames lose their places.
		return (s.PixFmt == "yuv420p" || s.PixFmt == "yuvj420p") && (m.Format != "avi" || s.BFrames == 0)
	case "vp9", "av1":
		return (s.PixFmt == "yuv420p" || s.PixFmt == "yuv420p10le") && m.Format != "avi"
	}
	return false
}

// copiesAudio is the same for sound: AAC LC and HE, Opus, FLAC. MP3 in MP4 it refuses.
func copiesAudio(s Stream) bool {
	switch s.Codec {
	case "aac":
		return (s.Profile == "LC" || s.Profile == "HE-AAC" || s.Profile == "HE-AACv2") && s.Channels <= 8
	case "opus", "flac":
		return s.Channels <= 8
	}
	return false
}
