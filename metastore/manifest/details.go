package manifest

import "github.com/vstack/vstack/internal/vstack"

// Limits of what version 2 adds.
const (
	maxLanguage = 35   // bytes; what RFC 5646 wants a program to take
	maxTerm     = 64   // bytes of a channel layout or a kind of HDR
	maxTiles    = 1024 // of an image, columns and rows each
	maxBitDepth = 32
	// maxFragments bounds the fragments of a chunk; those of a manifest are bounded by
	// vstack.MaxManifest.
	maxFragments = 4096
)

// checkDetails wants nothing of version 2 in version 1, and sense in version 2. Texts have
// a form and no list of values: a list could not grow without a feature level.
func checkDetails(t *vstack.Track, version int) error {
	d := &t.TrackDetails
	if version == vstack.ManifestFirst {
		if *d != (vstack.TrackDetails{}) || !t.Init.Leaves.IsZero() {
			return invalid("track %d: it says what version 1 does not have", t.Number)
		}
		return nil
	}
	switch {
	case d.DisplayWidth < 0 || d.DisplayWidth > maxDimension || d.DisplayHeight < 0 || d.DisplayHeight > maxDimension ||
		(d.DisplayWidth == 0) != (d.DisplayHeight == 0):
		return invalid("track %d: shown at %d × %d pixels", t.Number, d.DisplayWidth, d.DisplayHeight)
	case (d.SampleAspect.Num == 0) != (d.SampleAspect.Den == 0):
		return invalid("track %d: sample aspect %s", t.Number, d.SampleAspect)
	case d.Columns < 0 || d.Columns > maxTiles || d.Rows < 0 || d.Rows > maxTiles || (d.Columns == 0) != (d.Rows == 0):
		return invalid("track %d: %d × %d tiles", t.Number, d.Columns, d.Rows)
	case d.Columns != 0 && t.Kind != vstack.TrackImage:
		return invalid("track %d: tiles on a track of kind %s", t.Number, t.Kind)
	case d.Colour.BitDepth > maxBitDepth:
		return invalid("track %d: %d bits a sample", t.Number, d.Colour.BitDepth)
	case !term(d.ChannelLayout) || !term(d.HDR):
		return invalid("track %d: channel layout %.80q or HDR %.80q is no term", t.Number, d.ChannelLayout, d.HDR)
	case !languageTag(t.Language):
		return invalid("track %d: language %.80q is not of the form of RFC 5646", t.Number, t.Language)
	}
	return nil
}

// term reports whether s is short and of letters, digits and "-_.+()".
func term(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == '+', c == '(', c == ')':
		default:
			return false
		}
	}
	return len(s) <= maxTerm
}

// languageTag reports whether s is empty or subtags of 1 to 8 letters and digits with
// hyphens between them.
func languageTag(s string) bool {
	n := 0
	for _, c := range []byte(s) {
		switch {
		case c == '-' && n > 0:
			n = 0
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			if n++; n > 8 {
				return false
			}
		default:
			return false
		}
	}
	return len(s) <= maxLanguage && (s == "" || n > 0)
}

// checkFragments wants the fragments of a chunk to be all of it, if there are any.
func checkFragments(t *vstack.Track, c vstack.ChunkRef, version int) error {
	if version == vstack.ManifestFirst && (c.Fragments != nil || !c.Leaves.IsZero()) {
		return invalid("track %d: chunk %d says what version 1 does not have", t.Number, c.Seq)
	}
	if c.Fragments == nil {
		return nil
	}
	var size uint64
	var duration int64
	for i, f := range c.Fragments {
		switch {
		case f.Size == 0 || f.Lead > f.Size || f.Duration < 0 || f.Duration > maxTicks-duration:
			return invalid("track %d: chunk %d: fragment %d of %d bytes, %d to the end of its first frame, %d ticks", t.Number, c.Seq, i, f.Size, f.Lead, f.Duration)
		case !f.Keyframe && (f.CutPoint || f.Lead != 0):
			return invalid("track %d: chunk %d: fragment %d is a cut point or has a lead without a keyframe", t.Number, c.Seq, i)
		}
		size += uint64(f.Size)
		duration += f.Duration
	}
	switch {
	case t.Kind == vstack.TrackOriginal || len(c.Fragments) == 0 || len(c.Fragments) > maxFragments:
		return invalid("track %d: chunk %d: %d fragments", t.Number, c.Seq, len(c.Fragments))
	case size != uint64(c.Size) || duration != c.Duration || c.Fragments[0].Keyframe != c.Keyframe:
		return invalid("track %d: chunk %d: %d bytes, %d ticks, keyframe %v; its fragments say %d, %d, %v",
			t.Number, c.Seq, c.Size, c.Duration, c.Keyframe, size, duration, c.Fragments[0].Keyframe)
	}
	return nil
}
