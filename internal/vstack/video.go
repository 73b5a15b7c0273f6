package vstack

import "time"

// VideoState is the life of a video in the catalog.
type VideoState string

const (
	VideoUploading VideoState = "uploading" // not listed as playable, has no manifest
	VideoPublished VideoState = "published"
	VideoFailed    VideoState = "failed" // its upload was aborted; nothing is readable
	VideoDeleted   VideoState = "deleted"
)

// StorageClass says what a placement group's targets hold for a video.
type StorageClass string

const (
	ClassHot     StorageClass = "hot"
	ClassCooling StorageClass = "cooling"
	ClassCold    StorageClass = "cold"
	ClassWarming StorageClass = "warming"
)

// ClassPolicy is what the owner asked for; auto lets popularity decide.
type ClassPolicy string

const (
	PolicyAuto ClassPolicy = "auto"
	PolicyHot  ClassPolicy = "hot"
	PolicyCold ClassPolicy = "cold"
)

// Video is a catalog entry. Times come from the command that changed it, in UTC.
type Video struct {
	ID        VideoID      `json:"id"`
	Title     string       `json:"title"`
	State     VideoState   `json:"state"`
	Class     StorageClass `json:"class"`
	Policy    ClassPolicy  `json:"policy"`
	Created   time.Time    `json:"created"`
	Published time.Time    `json:"published,omitzero"`
	Duration  float64      `json:"duration"` // seconds
	Size      int64        `json:"size"`     // bytes of all chunks
	Chunks    int          `json:"chunks"`
	Tracks    int          `json:"tracks"`
	Views     int64        `json:"views"`
	Source    Source       `json:"source"`
	Index     uint64       `json:"index"` // Raft index of the last change
}

// Source describes the file that a person uploaded.
type Source struct {
	Name      string  `json:"name"`
	Size      int64   `json:"size"`
	SHA256    ChunkID `json:"sha256"`    // of the whole file
	Container string  `json:"container"` // ffprobe's format_name
}

// UploadState is the life of an upload.
type UploadState string

const (
	UploadOpen      UploadState = "open"
	UploadPublished UploadState = "published"
	UploadAborted   UploadState = "aborted"
)

// Upload is one attempt to fill a video's slots. Only its Owner may use round 0 of
// its Incarnation. Index is the Raft index at which this incarnation was issued: an
// acceptor applies the catalog up to it before it judges a message of the upload.
type Upload struct {
	ID          UploadID    `json:"id"`
	Video       VideoID     `json:"video"`
	State       UploadState `json:"state"`
	Incarnation Incarnation `json:"incarnation"`
	Owner       ProposerID  `json:"owner"`
	Index       uint64      `json:"index"`
	Opened      time.Time   `json:"opened"`
	Source      Source      `json:"source"`
}

// TrackKind says what a track carries.
type TrackKind string

const (
	TrackVideo    TrackKind = "video"
	TrackAudio    TrackKind = "audio"
	TrackOriginal TrackKind = "original" // the uploaded file's bytes, in chunks; no init chunk
)

// ChunkRef names one chosen chunk of a track.
type ChunkRef struct {
	Seq      uint32  `json:"seq"`
	ID       ChunkID `json:"id"`
	Size     uint32  `json:"size"`     // bytes
	Start    int64   `json:"start"`    // presentation start, in the track's timescale
	Duration int64   `json:"duration"` // in the track's timescale
	Keyframe bool    `json:"keyframe"` // starts with a random access point
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
	Width      int        `json:"width,omitempty"`
	Height     int        `json:"height,omitempty"`
	FrameRate  float64    `json:"frame_rate,omitempty"`
	SampleRate int        `json:"sample_rate,omitempty"`
	Channels   int        `json:"channels,omitempty"`
	Bitrate    int64      `json:"bitrate"` // mean, bits a second
	Init       ChunkRef   `json:"init,omitzero"`
	Chunks     []ChunkRef `json:"chunks"`
}

// Manifest is all that a player needs besides the placement map. It never changes
// once published.
type Manifest struct {
	Version  int     `json:"version"` // 1
	Video    VideoID `json:"video"`
	Duration float64 `json:"duration"` // seconds, of the longest track
	Tracks   []Track `json:"tracks"`
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
