package ffmpeg

import (
	"context"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/container"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// Probe asks the ffprobe on PATH.
func Probe(ctx context.Context, file string) (media.Media, error) { return Tools{}.Probe(ctx, file) }

// Probe reads what a local file holds. What FFmpeg cannot read is ErrNotMedia; an MP4
// that ends before its boxes do is ErrTruncated; a file without any frame of picture or
// sound is ErrNoStreams; an encrypted one is ErrMediaUnfit.
func (t Tools) Probe(ctx context.Context, file string) (media.Media, error) {
	facts, err := container.Look(t.Vault, file)
	if err != nil {
		return media.Media{}, err
	}
	m, err := t.look(ctx, file, facts)
	if err != nil {
		return media.Media{}, err
	}
	if err := t.settle(ctx, &m, file); err != nil {
		return media.Media{}, err
	}
	if facts.Torn {
		t.tail(ctx, &m, file)
	}
	usable, frames := 0, 0
	for _, s := range m.Streams {
		if s.Playable() {
			usable++
			frames += s.Frames
		}
	}
	if usable == 0 {
		return media.Media{}, fmt.Errorf("probe: %w: %d streams in %s", vstack.ErrNoStreams, len(m.Streams), m.Format)
	}
	if frames == 0 {
		return media.Media{}, fmt.Errorf("probe: %w: its streams hold no frames", vstack.ErrNotMedia)
	}
	return m, nil
}

// look is what ffprobe says of a file, and what its boxes say.
func (t Tools) look(ctx context.Context, file string, facts container.Facts) (media.Media, error) {
	said, err := t.describe(ctx, file)
	if err != nil {
		return media.Media{}, err
	}
	m := said.Media()
	m.Apply(facts)
	return m, nil
}

// settle looks closer where the first look left something open.
func (t Tools) settle(ctx context.Context, m *media.Media, file string) error {
	if !slices.ContainsFunc(m.Streams, media.Stream.Open) {
		m.MarkStills()
		return nil
	}
	scan, err := t.Scan(ctx, m.Origin, file)
	if err != nil {
		return err
	}
	for i := range m.Streams {
		s := &m.Streams[i]
		if !s.Open() {
			continue
		}
		got := scan.Streams[s.Index]
		s.Frames, s.Total, s.Empty = got.Packets, got.Packets, got.Packets == 0
		if got.Packets > 0 {
			s.Start = got.First
		}
	}
	m.MarkStills()
	return nil
}

// tailSeconds are decoded at the end of a file that may be torn.
const tailSeconds = 3

// tail decodes the end of each picture of a file that may end inside a frame, and notes
// the ones whose decoder complains.
func (t Tools) tail(ctx context.Context, m *media.Media, file string) {
	for i := range m.Streams {
		s := &m.Streams[i]
		if s.Kind != "video" || !s.Playable() {
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
