package media

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vstack/vstack/uploader/container"
)

// Media is what Probe found.
type Media struct {
	Format   string  // ffprobe's format_name
	Duration float64 // seconds from the first frame to the last, 0 if the file does not say
	Origin   float64 // the file's own time of its start, seconds
	Streams  []Stream
	Warnings []string
}

// is says whether the file's format is, or is a relative of, the one of that name.
func (m Media) is(name string) bool { return slices.Contains(strings.Split(m.Format, ","), name) }

// Apply adds what the container's header says, of the file and of its streams.
func (m *Media) Apply(facts container.Facts) {
	m.Warnings = append(m.Warnings, facts.Warnings...)
	for i := range m.Streams {
		s := &m.Streams[i]
		number := s.Index
		switch {
		case m.is("mov"):
			number = s.ID
		case m.is("flv") && s.Kind == "video":
			number = 0
		case m.is("flv"):
			continue
		}
		t, ok := facts.Tracks[number]
		if !ok {
			continue
		}
		if tag := LanguageTag(t.Language); tag != "" {
			s.Language = tag
		}
		s.Empty = s.Empty || t.Empty
		switch {
		case t.Descriptions > 1:
			s.because("it changes its coding (%d sample descriptions)", t.Descriptions)
		case t.Edits > 1:
			s.because("its edit list shows %d parts of it", t.Edits)
		case t.Trimmed && s.Kind == "video":
			s.because("its edit list hides frames at its end")
		case t.NoTimes && s.BFrames > 0:
			s.because("its container has no times for reordered frames")
		}
	}
}

// still says that a codec is one of single pictures, which covers are made of.
func (s Stream) still() bool {
	return slices.Contains([]string{"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000"}, s.Codec)
}

// MarkStills marks covers that their container does not mark: single pictures beside a film
// or a sound.
func (m *Media) MarkStills() {
	moving := slices.ContainsFunc(m.Streams, func(s Stream) bool { return s.Playable() && !(s.Kind == "video" && s.still() && s.Total == 1) })
	for i := range m.Streams {
		if s := &m.Streams[i]; moving && s.Kind == "video" && s.still() && s.Total == 1 {
			s.Picture = true
		}
	}
}

// because notes the first reason not to copy the stream.
func (s *Stream) because(format string, args ...any) {
	if s.Why == "" {
		s.Why = fmt.Sprintf(format, args...)
	}
}
