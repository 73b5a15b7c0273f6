package manifest

import (
	"fmt"
	"math"

	"github.com/vstack/vstack/internal/vstack"
)

// Limits of a manifest.
const (
	// MaxChunks bounds the chunks of all tracks together; at 2 MiB each it is
	// 128 GiB of video.
	MaxChunks    = 65536
	maxTrackText = 128     // bytes of codec, name and language, each
	maxDuration  = 2 << 20 // seconds, 24 days
	maxTimescale = 1 << 30 // ticks a second
	maxTicks     = 1 << 60 // of a start or duration; sums stay below 2^63
	maxDimension = 1 << 16
)

// Stats is what a video's listing says of its manifest.
type Stats struct {
	Size   int64 // bytes of all chunks, init chunks included
	Chunks int   // init chunks included
}

// Check reports the first rule that a manifest of the video breaks, as
// ErrManifestInvalid.
func Check(m *vstack.Manifest, video vstack.VideoID) (Stats, error) {
	var s Stats
	switch {
	case m.Version != vstack.ManifestFirst && m.Version != vstack.ManifestTable:
		return s, invalid("version %d, want %d or %d", m.Version, vstack.ManifestFirst, vstack.ManifestTable)
	case m.Video != video:
		return s, invalid("it is of video %s, the upload is of %s", m.Video, video)
	case len(m.Tracks) == 0 || len(m.Tracks) > vstack.MaxTracks:
		return s, invalid("%d tracks, want 1 to %d", len(m.Tracks), vstack.MaxTracks)
	case !(m.Duration >= 0) || m.Duration > maxDuration:
		return s, invalid("duration %g s, want 0 to %d", m.Duration, maxDuration)
	}
	numbers := make(map[uint16]bool, len(m.Tracks))
	sizes := map[vstack.ChunkID]uint32{}
	playable := false
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if numbers[t.Number] {
			return s, invalid("track number %d is used twice", t.Number)
		}
		numbers[t.Number] = true
		playable = playable || t.Kind == vstack.TrackVideo || t.Kind == vstack.TrackAudio
		if err := checkTrack(t, m.Version); err != nil {
			return s, err
		}
	}
	if size, _ := vstack.TableSize(m); m.Version == vstack.ManifestTable && size > vstack.MaxManifest {
		return s, invalid("a table of %d bytes, at most %d", size, vstack.MaxManifest)
	}
	if !playable {
		return s, invalid("no video or audio track")
	}
	for slot, c := range m.Slots {
		if s.Chunks++; s.Chunks > MaxChunks {
			return s, invalid("more than %d chunks", MaxChunks)
		}
		if size, ok := sizes[c.ID]; ok && size != c.Size {
			return s, invalid("slot %s: chunk %s has %d bytes here and %d before", slot, c.ID.Short(), c.Size, size)
		}
		sizes[c.ID] = c.Size
		s.Size += int64(c.Size)
	}
	return s, nil
}

func checkTrack(t *vstack.Track, version int) error {
	switch {
	case !known(t.Kind, version):
		return invalid("track %d: kind %.40q", t.Number, t.Kind)
	case len(t.Codec) > maxTrackText || len(t.Name) > maxTrackText || len(t.Language) > maxTrackText:
		return invalid("track %d: codec, name or language over %d bytes", t.Number, maxTrackText)
	case len(t.Chunks) == 0:
		return invalid("track %d: no chunks", t.Number)
	case t.Width < 0 || t.Width > maxDimension || t.Height < 0 || t.Height > maxDimension:
		return invalid("track %d: %d × %d pixels", t.Number, t.Width, t.Height)
	case t.Bitrate < 0 || t.SampleRate < 0 || t.Channels < 0 || !(t.FrameRate >= 0) || math.IsInf(t.FrameRate, 0):
		return invalid("track %d: negative rate", t.Number)
	}
	if err := checkDetails(t, version); err != nil {
		return err
	}
	if err := checkInit(t); err != nil {
		return err
	}
	return checkRefs(t, version)
}

// known reports whether a version has the kind of track.
func known(k vstack.TrackKind, version int) bool {
	switch k {
	case vstack.TrackVideo, vstack.TrackAudio, vstack.TrackOriginal:
		return true
	case vstack.TrackText, vstack.TrackImage:
		return version == vstack.ManifestTable
	}
	return false
}

// checkInit wants an init chunk where there are frames: not of an original, and of text
// and images only if they are in fragments.
func checkInit(t *vstack.Track) error {
	if t.Kind == vstack.TrackOriginal {
		if !isZero(t.Init) {
			return invalid("track %d: an original has no init chunk", t.Number)
		}
		return nil
	}
	if t.Timescale == 0 || t.Timescale > maxTimescale {
		return invalid("track %d: timescale %d, want 1 to %d", t.Number, t.Timescale, maxTimescale)
	}
	if isZero(t.Init) && (t.Kind == vstack.TrackText || t.Kind == vstack.TrackImage) {
		return nil
	}
	if t.Init.Seq != 0 {
		return invalid("track %d: init chunk has sequence %d, want 0", t.Number, t.Init.Seq)
	}
	if t.Init.Fragments != nil {
		return invalid("track %d: init chunk has fragments", t.Number)
	}
	return checkRef(t, t.Init)
}

func isZero(c vstack.ChunkRef) bool {
	return c.Seq == 0 && c.ID.IsZero() && c.Size == 0 && c.Start == 0 && c.Duration == 0 && !c.Keyframe && c.Leaves.IsZero() && c.Fragments == nil
}

func checkRefs(t *vstack.Track, version int) error {
	var end int64 = math.MinInt64
	for i, c := range t.Chunks {
		if uint64(c.Seq) != uint64(i)+1 {
			return invalid("track %d: chunk %d of the list has sequence %d, want %d", t.Number, i, c.Seq, i+1)
		}
		if err := checkRef(t, c); err != nil {
			return err
		}
		if err := checkFragments(t, c, version); err != nil {
			return err
		}
		if t.Kind == vstack.TrackOriginal {
			continue // bytes of a file have no times
		}
		switch {
		case c.Start < -maxTicks || c.Start > maxTicks || c.Duration < 0 || c.Duration > maxTicks:
			return invalid("track %d: chunk %d: start %d or duration %d is out of range", t.Number, c.Seq, c.Start, c.Duration)
		case c.Start < end:
			return invalid("track %d: chunk %d starts at %d, before the end %d of the one before", t.Number, c.Seq, c.Start, end)
		}
		end = c.Start + c.Duration
	}
	return nil
}

func checkRef(t *vstack.Track, c vstack.ChunkRef) error {
	switch {
	case c.ID.IsZero():
		return invalid("track %d: chunk %d has no id", t.Number, c.Seq)
	case c.Size == 0 || c.Size > vstack.MaxChunkSize:
		return invalid("track %d: chunk %d has %d bytes, want 1 to %d", t.Number, c.Seq, c.Size, vstack.MaxChunkSize)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("manifest: "+format+": %w", append(args, vstack.ErrManifestInvalid)...)
}
