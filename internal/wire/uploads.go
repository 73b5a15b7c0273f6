package wire

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// JobState is the life of an uploader's job.
type JobState string

const (
	JobReceiving   JobState = "receiving" // its file arrives; nothing is promised yet
	JobQueued      JobState = "queued"    // received and accepted, waits for its turn
	JobRunning     JobState = "running"   // ffmpeg runs, chunks are committed
	JobPublishing  JobState = "publishing"
	JobPublished   JobState = "published"
	JobInterrupted JobState = "interrupted" // the process died; it can be resumed
	JobFailed      JobState = "failed"
	JobCanceled    JobState = "canceled"
)

// Done reports whether the job has ended for good.
func (s JobState) Done() bool {
	return s == JobPublished || s == JobFailed || s == JobCanceled
}

// Job is the progress of one upload; GET /v1/jobs/{id}.
type Job struct {
	ID       string         `json:"id"` // the UploadID; while its file arrives a name of no use elsewhere
	Video    vstack.VideoID `json:"video_id"`
	Title    string         `json:"title"`
	State    JobState       `json:"state"`
	Resumed  int            `json:"resumed"` // how many times
	Source   vstack.Source  `json:"source"`
	Started  time.Time      `json:"started"`
	Updated  time.Time      `json:"updated"`
	Received int64          `json:"received,omitzero"` // bytes of the file that are here, while it arrives
	Position float64        `json:"position"`          // seconds of media cut so far, slowest track
	Duration float64        `json:"duration"`          // seconds of media, as probed
	Speed    float64        `json:"speed"`             // media seconds a second
	Chunks   int            `json:"chunks"`            // chosen so far, those found chosen included
	Reused   int            `json:"reused"`            // found chosen on resume, not sent again
	Bytes    int64          `json:"bytes"`             // of chunks sent, once each
	Skipped  int64          `json:"skipped"`           // bytes of reused chunks
	// Renditions, Class, KeepOriginal and Visibility are what the client asked for.
	Renditions   []string           `json:"renditions,omitempty"`
	Class        vstack.ClassPolicy `json:"class,omitempty"`
	KeepOriginal bool               `json:"keep_original,omitzero"`
	Visibility   vstack.Visibility  `json:"visibility,omitzero"`

	Tracks   []JobTrack      `json:"tracks,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Error    *Problem        `json:"error,omitempty"`
	Upload   vstack.UploadID `json:"upload_id"`
}

// JobTrack is one track of a job.
type JobTrack struct {
	Number uint16           `json:"number"`
	Kind   vstack.TrackKind `json:"kind"`
	Name   string           `json:"name"`
	Codec  string           `json:"codec"`
	Copied bool             `json:"copied"`
	Chunks int              `json:"chunks"`
}

// Accepted answers POST /upload with 202.
type Accepted struct {
	Video  vstack.VideoID  `json:"video_id"`
	Upload vstack.UploadID `json:"upload_id"`
	Job    string          `json:"job"` // path of the job, "/v1/jobs/ID"
	// Duplicate says that nothing was stored: Video is one of the very same file. Only
	// where the client asked for it (dedup), with 200, and without an upload or a job.
	Duplicate bool `json:"duplicate,omitzero"`
	// Same are the published videos of the very same file.
	Same []vstack.VideoID `json:"same,omitempty"`
}

// Subtitles answers POST /v1/subtitles with 201: an upload names them by their id.
type Subtitles struct {
	ID   vstack.ChunkID `json:"id"` // of what was made of them
	Cues int            `json:"cues"`
}

// Incoming says how far a resumable upload is, or what became of it; GET /files/{id}.
type Incoming struct {
	Offset  int64     `json:"offset"` // bytes on disk
	Length  int64     `json:"length"` // bytes of the file
	Expires time.Time `json:"expires,omitzero"`
	// Accepted is there once the file has a job, and says nothing else.
	Accepted *Accepted `json:"accepted,omitempty"`
}

// Version answers GET /version of every role.
type Version struct {
	Version string        `json:"version"`
	Commit  string        `json:"commit"`
	Go      string        `json:"go"`
	Host    vstack.HostID `json:"host"`
	Roles   []string      `json:"roles"`
}
