package ffmpeg

import (
	"fmt"
	"math"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// Limits bound what is taken in. Zero fields get the defaults.
type Limits struct {
	// Duration of the media, in seconds; default 8 h.
	Duration float64
	// Side is the largest width or height, in pixels; default 8,192, H.264's own end.
	Side int
	// Pixels of one picture; default 36,000,000. It bounds a job's memory: a converter
	// holds some twenty pictures.
	Pixels int
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
	if l.Pixels == 0 {
		l.Pixels = 36_000_000
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
	Stream   media.Stream
	Copy     bool
	Width    int // of the converted picture; 0 for copies
	Height   int
	Aspect   media.Ratio // of a sample of the converted picture
	Color    media.Color // of the converted picture
	Tonemap  bool        // from HDR
	Late     bool        // starts so late that the time before needs filling
	Holes    bool        // the sound has holes too long to be filled by a filter
	// Torn says that the last frame is not whole, and left out.
	Torn bool
	// Cuts are the cut points that all renditions of the stream share, in seconds; nil
	// where each finds the same ones by itself (StreamScan.Cuts on its own keyframes).
	Cuts []float64
}

// Plan says what becomes of each stream.
type Plan struct {
	Tracks   []Track
	Duration float64 // seconds, 0 if the file does not say
	Origin   float64 // Media's
	Warnings []string
	// Texts are the streams of subtitles that are text.
	Texts []media.Stream
}

// NewPlan decides for each stream whether it is copied, converted or left out.
// names are renditions (ValidRendition); none means "source". Media outside the
// limits, and pictures that nobody but their maker's players understand, are
// ErrMediaUnfit.
func NewPlan(m media.Media, names []string, limits Limits) (Plan, error) {
	limits = limits.withDefaults()
	p := Plan{Duration: m.Duration, Origin: m.Origin, Warnings: slices.Clone(m.Warnings)}
	if m.Duration > limits.Duration {
		return Plan{}, fmt.Errorf("plan: %w: %.0f s long, at most %.0f s", vstack.ErrMediaUnfit, m.Duration, limits.Duration)
	}
	if len(names) == 0 {
		names = []string{"source"}
	}
	for _, s := range m.Streams {
		switch {
		case s.Text() && len(p.Texts) < maxTexts:
			p.Texts = append(p.Texts, s)
		case !s.Playable():
			p.Warnings = append(p.Warnings, leftOut(s))
		case s.Kind == "video":
			if err := limits.picture(s); err != nil {
				return Plan{}, err
			}
			p.addVideo(m, s, names)
		default:
			p.addAudio(s)
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

// picture holds one stream against the limits.
func (l Limits) picture(s media.Stream) error {
	switch {
	case s.Width > l.Side || s.Height > l.Side:
		return fmt.Errorf("plan: %w: stream %d is %d×%d, at most %d a side", vstack.ErrMediaUnfit, s.Index, s.Width, s.Height, l.Side)
	case s.Width*s.Height > l.Pixels:
		return fmt.Errorf("plan: %w: stream %d is %d×%d, at most %d million pixels", vstack.ErrMediaUnfit, s.Index, s.Width, s.Height, l.Pixels/1e6)
	case s.Dolby == 5 && s.Codec == "hevc":
		return fmt.Errorf("plan: %w: stream %d is Dolby Vision profile 5, whose colours only Dolby's own players understand", vstack.ErrMediaUnfit, s.Index)
	}
	return nil
}

func leftOut(s media.Stream) string {
	what := s.Kind
	if s.Picture {
		what = "attached picture"
	}
	codec := s.Codec
	if codec == "" {
		codec = "unknown codec"
	}
	if s.Empty {
		codec += ", no frames"
	}
	return fmt.Sprintf("stream %d left out: %s (%s)", s.Index, what, codec)
}

// addVideo adds the renditions of one video stream. One that would enlarge the picture
// is left out; if nothing else was asked for, the source takes its place.
func (p *Plan) addVideo(m media.Media, s media.Stream, names []string) {
	w, h, a := s.Upright()
	w, h = media.Shown(w, h, a)
	short := min(w, h)
	added := 0
	for _, name := range names {
		side := renditions[name]
		if side != 0 && side >= short {
			p.Warnings = append(p.Warnings, fmt.Sprintf("rendition %s left out: stream %d is only %d×%d", name, s.Index, w, h))
			continue
		}
		p.Tracks = append(p.Tracks, p.videoTrack(m, s, name, side))
		added++
	}
	if added == 0 {
		p.Tracks = append(p.Tracks, p.videoTrack(m, s, "source", 0))
	}
}

func (p *Plan) videoTrack(m media.Media, s media.Stream, name string, side int) Track {
	t := Track{Kind: vstack.TrackVideo, Name: name, Language: s.Language, Stream: s, Aspect: media.Square}
	if side == 0 {
		why := s.UnplayableVideo(m)
		if why == "" {
			if t.Copy, t.Torn = true, s.Torn; t.Torn {
				p.Warnings = append(p.Warnings, fmt.Sprintf("stream %d: its last frame is not whole, and left out", s.Index))
			}
			return t
		}
		p.converted(s, why)
	}
	w, h, a := s.Upright()
	if side != 0 {
		w, h = media.Shown(w, h, a)
		scale := float64(side) / float64(min(w, h))
		w, h = int(math.Round(float64(w)*scale)), int(math.Round(float64(h)*scale))
	} else {
		t.Aspect = a
	}
	t.Width, t.Height = max(2, w&^1), max(2, h&^1) // 4:2:0 needs even sides
	t.Color, t.Tonemap = s.Color.Converted(s), s.Color.HDR()
	t.Late = s.Start > media.Late
	return t
}

func (p *Plan) addAudio(s media.Stream) {
	t := Track{Kind: vstack.TrackAudio, Name: "source", Language: s.Language, Stream: s}
	why := s.UnplayableAudio()
	t.Copy = why == ""
	if !t.Copy {
		p.converted(s, why)
	}
	p.Tracks = append(p.Tracks, t)
}

// converted says why a stream is not copied, where its codec alone does not tell.
func (p *Plan) converted(s media.Stream, why string) {
	if why != media.ByCodec {
		p.Warnings = append(p.Warnings, fmt.Sprintf("stream %d converted: %s", s.Index, why))
	}
}
