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
	// ClassIndex is the Raft index of the last class change or publish; 0 for one from
	// before the feature level that keeps it.
	ClassIndex uint64 `json:"class_index,omitzero"`
	// Layout is in force while the class asks for fragments; while it does not, it is what
	// was asked for with the policy. Absent where neither was.
	Layout Layout `json:"layout,omitzero"`
	// ClassBefore is the ClassIndex before the last step of its class: what stores said of
	// it then holds until they know of the step.
	ClassBefore uint64 `json:"class_before,omitzero"`
	// ClassSince is when the last step of its class was taken; absent for one that took none
	// since the feature level that keeps it.
	ClassSince time.Time `json:"class_since,omitzero"`
	// Popularity is what counts of Views for its class: views decay by half each half-life of
	// the policy. Absent below the feature level at which they do.
	Popularity int64 `json:"popularity,omitzero"`
	// Access is who may watch it; absent for everybody.
	Access Access `json:"access,omitzero"`
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
