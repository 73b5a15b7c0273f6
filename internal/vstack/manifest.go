package vstack

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// TrackKind says what a track carries.
type TrackKind string

const (
	TrackVideo    TrackKind = "video"
	TrackAudio    TrackKind = "audio"
	TrackText     TrackKind = "text"     // from version 2 on
	TrackImage    TrackKind = "image"    // tiles and posters; from version 2 on
	TrackOriginal TrackKind = "original" // the uploaded file's bytes, in chunks; no init chunk
)

// Versions of a manifest. Version 1 stays valid for ever.
const (
	ManifestFirst = 1
	// ManifestTable carries its chunks as a binary table, with fragments and leaf roots,
	// and more about each track; from LevelFormats on.
	ManifestTable = 2
)

// Fragment is one fMP4 fragment (moof and mdat) of a chunk, in the order of its bytes.
type Fragment struct {
	Size     uint32 // bytes
	Lead     uint32 // bytes to the end of the keyframe that it starts with; 0 if it does not
	Duration int64  // to the start of the next fragment, in the track's timescale
	Keyframe bool   // starts with a random access point
	CutPoint bool   // all renditions start a fragment with a keyframe here
}

// ChunkRef names one chosen chunk of a track. Leaves and Fragments are those of version 2,
// where only the manifest's table carries them.
type ChunkRef struct {
	Seq      uint32  `json:"seq"`
	ID       ChunkID `json:"id"`
	Size     uint32  `json:"size"`     // bytes
	Start    int64   `json:"start"`    // presentation start, in the track's timescale
	Duration int64   `json:"duration"` // in the track's timescale
	Keyframe bool    `json:"keyframe"` // starts with a random access point

	Leaves    LeafRoot   `json:"-"` // zero if it is not known
	Fragments []Fragment `json:"-"` // nil if they are not known; else their sizes add up to Size
}

// Track is one CMAF stream of a video.
type Track struct {
	Number     uint16     `json:"number"`
	Kind       TrackKind  `json:"kind"`
	Codec      string     `json:"codec"`              // RFC 6381, "avc1.640028"
	Name       string     `json:"name,omitempty"`     // rendition, "source" or "720p"
	Language   string     `json:"language,omitempty"` // RFC 5646
	Copied     bool       `json:"copied"`             // the stream was copied, not transcoded
	Timescale  uint32     `json:"timescale"`          // ticks a second
	Width      int        `json:"width,omitempty"`    // pixels
	Height     int        `json:"height,omitempty"`   // pixels
	FrameRate  float64    `json:"frame_rate,omitempty"`
	SampleRate int        `json:"sample_rate,omitempty"`
	Channels   int        `json:"channels,omitempty"`
	Bitrate    int64      `json:"bitrate"` // mean, bits a second
	Init       ChunkRef   `json:"init,omitzero"`
	Chunks     []ChunkRef `json:"chunks"`
	TrackDetails
}

// TrackDetails is what version 2 says of a track beyond version 1, where all of it is zero.
type TrackDetails struct {
	// DisplayWidth and DisplayHeight are the square pixels that the picture is shown in,
	// after sample aspect and rotation; Width and Height are those of the coded picture, as
	// it is cropped. For an image track they are of one whole image.
	DisplayWidth  int `json:"display_width,omitzero"`
	DisplayHeight int `json:"display_height,omitzero"`
	// SampleAspect is the shape of a coded pixel, "4:3"; zero is square.
	SampleAspect Ratio `json:"sample_aspect,omitzero"`
	// Columns and Rows are the tiles of each image of an image track; a poster has 1 and 1.
	Columns int `json:"columns,omitzero"`
	Rows    int `json:"rows,omitzero"`
	// ChannelLayout is FFmpeg's name of the layout of Channels, as stored: "5.1(side)".
	ChannelLayout string `json:"channel_layout,omitzero"`
	Colour        Colour `json:"colour,omitzero"`
	// HDR is the kind of high dynamic range, "pq", "hlg", "hdr10", "hdr10plus" or
	// "dolby_vision_8.1" and the like; empty for standard range.
	HDR string `json:"hdr,omitzero"`
	// Default marks the track of its kind that plays unless the viewer chooses; Forced a
	// text track for viewers who understand the sound.
	Default bool `json:"default,omitzero"`
	Forced  bool `json:"forced,omitzero"`
}

// Colour is how sample values stand for light, by the code points of ITU-T H.273; 2 is
// "unspecified" there, and 0 says that nothing is known.
type Colour struct {
	Primaries uint8 `json:"primaries"`
	Transfer  uint8 `json:"transfer"`
	Matrix    uint8 `json:"matrix"`
	FullRange bool  `json:"full_range,omitzero"`
	BitDepth  uint8 `json:"bit_depth,omitzero"` // bits of a sample
}

// Ratio is a ratio of two numbers, N:D.
type Ratio struct{ Num, Den uint32 }

func (r Ratio) IsZero() bool   { return r == Ratio{} }
func (r Ratio) String() string { return fmt.Sprintf("%d:%d", r.Num, r.Den) }

func (r Ratio) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads String's form and no other.
func (r *Ratio) UnmarshalText(b []byte) error {
	var got Ratio
	if _, err := fmt.Sscanf(string(b), "%d:%d", &got.Num, &got.Den); err != nil || got.String() != string(b) {
		return fmt.Errorf("ratio %q: %w: want N:D", clip(string(b)), ErrInvalid)
	}
	*r = got
	return nil
}

// Manifest is all that a player needs besides the placement map. It never changes
// once published.
type Manifest struct {
	Version  int     `json:"version"` // ManifestFirst or ManifestTable
	Video    VideoID `json:"video"`
	Duration float64 `json:"duration"` // seconds, of the longest track
	Tracks   []Track `json:"tracks"`
}

// manifestJSON is version 1 as it is written, its chunks within the tracks.
type manifestJSON Manifest

// manifestTableJSON is version 2 as it is written.
type manifestTableJSON struct {
	Version  int         `json:"version"`
	Video    VideoID     `json:"video"`
	Duration float64     `json:"duration"`
	Tracks   []bareTrack `json:"tracks"`
	Table    []byte      `json:"table,omitempty"` // AppendTable; absent if no track has chunks
}

// bareTrack is a track without its chunks.
type bareTrack struct {
	Track
	Init   *ChunkRef  `json:"init,omitempty"`   // always nil; in place of Track's
	Chunks []ChunkRef `json:"chunks,omitempty"` // always nil; in place of Track's
}

// JSONSchemaOf is a value of the type that describes a manifest's JSON.
func (Manifest) JSONSchemaOf() any {
	type ManifestTrack bareTrack // of version 1 with its chunks
	return struct {
		Version  int             `json:"version"`
		Video    VideoID         `json:"video"`
		Duration float64         `json:"duration"`
		Tracks   []ManifestTrack `json:"tracks"`
		Table    []byte          `json:"table,omitempty"`
	}{}
}

// MarshalJSON writes version 1 with chunks inside the tracks, as ever, and version 2 with
// the table beside them.
func (m Manifest) MarshalJSON() ([]byte, error) {
	if m.Version != ManifestTable {
		return json.Marshal(manifestJSON(m))
	}
	out := manifestTableJSON{Version: m.Version, Video: m.Video, Duration: m.Duration, Tracks: make([]bareTrack, len(m.Tracks))}
	chunks := false
	for i, t := range m.Tracks {
		out.Tracks[i].Track = t
		chunks = chunks || len(t.Chunks) > 0 || !t.Init.ID.IsZero()
	}
	if chunks {
		var err error
		if out.Table, err = AppendTable(nil, &m); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads both versions, and chunks within the tracks of any that has no table:
// a log of LevelFirst may hold refused manifests of whatever version. It refuses fields that it does not know: a manifest
// is taken whole or not at all.
func (m *Manifest) UnmarshalJSON(b []byte) error {
	var in struct {
		manifestJSON
		Table []byte `json:"table"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	got := Manifest(in.manifestJSON)
	if got.Version != ManifestTable {
		if in.Table != nil {
			return fmt.Errorf("manifest of version %d: %w: it has a table", got.Version, ErrInvalid)
		}
		*m = got
		return nil
	}
	if in.Table != nil {
		if err := ReadTable(in.Table, &got); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	*m = got
	return nil
}

// Slots calls yield for every chunk of the manifest, init chunks included, in track
// and sequence order, until yield returns false.
func (m *Manifest) Slots(yield func(Slot, ChunkRef) bool) {
	for _, t := range m.Tracks {
		if !t.Init.ID.IsZero() && !yield(Slot{m.Video, t.Number, t.Init.Seq}, t.Init) {
			return
		}
		for _, c := range t.Chunks {
			if !yield(Slot{m.Video, t.Number, c.Seq}, c) {
				return
			}
		}
	}
}
