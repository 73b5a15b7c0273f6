package ffmpeg

import (
	"context"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
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

// Probe asks the ffprobe on PATH.
func Probe(ctx context.Context, file string) (Media, error) { return Tools{}.Probe(ctx, file) }

// Probe reads what a local file holds. What FFmpeg cannot read is ErrNotMedia; an MP4
// that ends before its boxes do is ErrTruncated; a file without any frame of picture or
// sound is ErrNoStreams; an encrypted one is ErrMediaUnfit.
func (t Tools) Probe(ctx context.Context, file string) (Media, error) {
	facts, err := container.Look(t.Vault, file)
	if err != nil {
		return Media{}, err
	}
	m, err := t.look(ctx, file, facts)
	if err != nil {
		return Media{}, err
	}
	if err := t.settle(ctx, &m, file); err != nil {
		return Media{}, err
	}
	if facts.Torn {
		t.tail(ctx, &m, file)
	}
	usable, frames := 0, 0
	for _, s := range m.Streams {
		if s.playable() {
			usable++
			frames += s.Frames
		}
	}
	if usable == 0 {
		return Media{}, fmt.Errorf("probe: %w: %d streams in %s", vstack.ErrNoStreams, len(m.Streams), m.Format)
	}
	if frames == 0 {
		return Media{}, fmt.Errorf("probe: %w: its streams hold no frames", vstack.ErrNotMedia)
	}
	return m, nil
}

// apply adds what the container's header says to the streams.
func (m *Media) apply(facts container.Facts) {
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

// look is what ffprobe says of a file, and what its boxes say.
func (t Tools) look(ctx context.Context, file string, facts container.Facts) (Media, error) {
	said, err := t.describe(ctx, file)
	if err != nil {
		return Media{}, err
	}
	m := said.media()
	m.Warnings = append(m.Warnings, facts.Warnings...)
	m.apply(facts)
	return m, nil
}

// open says that the start of a file leaves something about the stream open.
func (s Stream) open() bool {
	return s.playable() && s.Frames == 0 || s.Kind == "video" && !s.Picture && s.still() && s.Total == 0
}

// settle looks closer where the first look left something open.
func (t Tools) settle(ctx context.Context, m *Media, file string) error {
	if !slices.ContainsFunc(m.Streams, Stream.open) {
		m.stills()
		return nil
	}
	scan, err := t.Scan(ctx, m.Origin, file)
	if err != nil {
		return err
	}
	for i := range m.Streams {
		s := &m.Streams[i]
		if !s.open() {
			continue
		}
		got := scan.Streams[s.Index]
		s.Frames, s.Total, s.Empty = got.Packets, got.Packets, got.Packets == 0
		if got.Packets > 0 {
			s.Start = got.First
		}
	}
	m.stills()
	return nil
}

// tailSeconds are decoded at the end of a file that may be torn.
const tailSeconds = 3

// tail decodes the end of each picture of a file that may end inside a frame, and notes
// the ones whose decoder complains.
func (t Tools) tail(ctx context.Context, m *Media, file string) {
	for i := range m.Streams {
		s := &m.Streams[i]
		if s.Kind != "video" || !s.playable() {
			continue
		}
		said := &complaints{}
		at := fmt.Sprintf("%.3f", max(0, m.Origin+m.Duration-tailSeconds))
		err := t.runProbeSaying(ctx, file, &limited{max: maxProbe}, said, probeTimeout, "-of", "csv=p=0", "-show_frames", "-show_entries", "frame=pict_type:frame_side_data=:frame_tags=",
			"-select_streams", fmt.Sprint(s.Index), "-read_intervals", at+"%", "-threads", "1")
		s.Torn = err == nil && said.n > 0
	}
}

// complaints counts what a decoder says.
type complaints struct{ n int }

func (c *complaints) Write(b []byte) (int, error) {
	c.n += len(b)
	return len(b), nil
}

// still says that a codec is one of single pictures, which covers are made of.
func (s Stream) still() bool {
	return slices.Contains([]string{"mjpeg", "png", "bmp", "gif", "webp", "tiff", "jpeg2000"}, s.Codec)
}

// stills marks covers that their container does not mark: single pictures beside a film
// or a sound.
func (m *Media) stills() {
	moving := slices.ContainsFunc(m.Streams, func(s Stream) bool { return s.playable() && !(s.Kind == "video" && s.still() && s.Total == 1) })
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
