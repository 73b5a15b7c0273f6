package media

import (
	"math"
	"slices"

	"golang.org/x/text/language"
)

// Stream is one stream of a file, as ffprobe and package container see it.
type Stream struct {
	Index     int
	ID        int    // the container's own number, 0 if it has none
	Kind      string // "video", "audio", "subtitle", "data", "attachment"
	Codec     string // FFmpeg's name, "h264"
	Tag       string // the container's name of the codec
	Profile   string
	Language  string  // RFC 5646, "" if unknown
	Default   bool    // the author's choice among its kind
	Forced    bool    // wanted by who has chosen none
	Picture   bool    // an attached picture, not a moving one
	Frames    int     // packets seen at the start of the file
	Total     int     // frames that the header states, 0 if it does not
	Start     float64 // seconds after the file's start; of a picture its first keyframe
	FrameRate float64 // frames a second, 0 if unknown
	Untimed   Ratio   // the frame rate that gives the frames their times, where the file has none

	PixFmt     string
	Width      int // as coded
	Height     int
	Aspect     Ratio // of a sample; 1:1 if unknown
	Rotation   int   // clockwise degrees, 0, 90, 180 or 270
	BFrames    int   // depth of reordering
	Interlaced bool
	Color      Color
	Dolby      int // Dolby Vision profile, 0 for none

	SampleRate int
	Channels   int
	Layout     string // FFmpeg's name, "5.1(side)", "" if unknown
	// Configuration is AAC's channel configuration; 0 says that the stream describes its
	// channels itself (a program config element), -1 that it is not known.
	Configuration int

	// Why holds what keeps the stream from being copied, "" for nothing.
	Why string
	// Torn says that the last frame is not whole.
	Torn bool
	// Empty says that the stream is declared but holds nothing.
	Empty bool
}

// Ratio is a fraction of two positive numbers.
type Ratio struct{ Num, Den int }

func (r Ratio) value() float64 { return float64(r.Num) / float64(r.Den) }

// Square is the aspect of a sample that is as wide as high.
var Square = Ratio{1, 1}

// maxAspect bounds how far from square a sample may be; a header beyond is not believed.
const maxAspect = 8

func (r Ratio) believable() bool {
	return r.Num > 0 && r.Den > 0 && r.value() <= maxAspect && r.value() >= 1/float64(maxAspect)
}

// Color says how numbers become light, in FFmpeg's words; "" is unknown.
type Color struct {
	Range     string // "tv" or "pc"
	Matrix    string // "bt709"
	Transfer  string
	Primaries string
}

// HDR says that the picture is meant for a screen brighter than BT.709's.
func (c Color) HDR() bool { return c.Transfer == "smpte2084" || c.Transfer == "arib-std-b67" }

// Upright is the size with the rotation taken into account.
func (s Stream) Upright() (w, h int, aspect Ratio) {
	aspect = s.Aspect
	if !aspect.believable() {
		aspect = Square
	}
	if s.Rotation%180 != 0 {
		return s.Height, s.Width, Ratio{aspect.Den, aspect.Num}
	}
	return s.Width, s.Height, aspect
}

// Shown is the size of the picture on a screen with square samples.
func Shown(w, h int, aspect Ratio) (int, int) {
	return int(math.Round(float64(w) * aspect.value())), h
}

// Playable says that a stream is picture or sound that someone could want.
func (s Stream) Playable() bool {
	switch s.Kind {
	case "video":
		return !s.Picture && !s.Empty && s.Codec != "" && s.Width > 0 && s.Height > 0
	case "audio":
		return !s.Empty && s.Codec != "" && s.Channels > 0 && s.SampleRate > 0
	}
	return false
}

// LanguageTag puts what containers say into the form of RFC 5646: the shortest code, its
// region and script in their case. What is no language is "".
func LanguageTag(s string) string {
	tag, err := language.Parse(s)
	if err != nil || tag == language.Und {
		return ""
	}
	if base, conf := tag.Base(); conf == language.No || base.String() == "und" {
		return ""
	}
	return tag.String()
}

// LanguageISO is a tag's language in three letters (ISO 639-2/T), as MP4's header wants it.
func LanguageISO(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	base, _ := t.Base()
	return base.ISO3()
}

// Open says that the start of a file leaves something about the stream open.
func (s Stream) Open() bool {
	return s.Playable() && s.Frames == 0 || s.Kind == "video" && !s.Picture && s.still() && s.Total == 0
}

// Text says that a stream holds subtitles as text; pictures of text are none.
func (s Stream) Text() bool {
	return s.Kind == "subtitle" && slices.Contains([]string{"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}, s.Codec)
}
