package progress

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/order"
)

// Version is the version of job.json.
const Version = 1

// Record is a job's durable state, job.json.
type Record struct {
	Version int           `json:"version"`
	Upload  vstack.Upload `json:"upload"`
	// NextOwner is who the next incarnation is asked for. It is on disk before the
	// catalog is asked, so that a restarted process knows its own resume from another's.
	NextOwner vstack.ProposerID `json:"next_owner,omitzero"`
	Options   order.Options     `json:"options"`
	// Part is the name under which the file arrived, where it was a resumable upload.
	Part string `json:"part,omitempty"`
	// Unnamed says that the upload was opened before the file was whole: the catalog hears of
	// its size and hash when the video is published.
	Unnamed bool `json:"unnamed,omitempty"`
	// Cut names what cut the chunks so far. Another cut goes to tracks of its own, whose
	// numbers begin after Base: a video never mixes two.
	Cut  string `json:"cut,omitempty"`
	Base uint16 `json:"base,omitempty"`
	// Notes are warnings of the file itself, whatever an attempt adds.
	Notes []string `json:"notes,omitempty"`
	Job   wire.Job `json:"job"`
}

// NewRecord describes an upload that was just opened or resumed.
func NewRecord(up vstack.Upload, opt order.Options, duration float64, now time.Time) Record {
	return Record{Version: Version, Upload: up, Options: opt, Job: wire.Job{
		ID: up.ID.String(), Video: up.Video, Upload: up.ID, Title: opt.Title, State: wire.JobQueued,
		Source: up.Source, Started: now, Updated: now, Duration: duration,
		Renditions: opt.Renditions, Class: opt.Policy, KeepOriginal: opt.KeepOriginal, Visibility: opt.Visibility,
	}}
}

// Decode reads a state file; a version that this program does not know is an error.
func Decode(b []byte) (Record, error) {
	var rec Record
	if err := json.Unmarshal(b, &rec); err != nil {
		return Record{}, fmt.Errorf("read job: %w: %w", vstack.ErrInvalid, err)
	}
	if rec.Version != Version || rec.Upload.ID.IsZero() || rec.Upload.Video.IsZero() {
		return Record{}, fmt.Errorf("read job: %w: version %d (this program reads %d), upload %s", vstack.ErrInvalid, rec.Version, Version, rec.Upload.ID)
	}
	return rec, nil
}

// Encode writes what Decode reads.
func Encode(rec Record) ([]byte, error) {
	b, err := json.MarshalIndent(rec, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write job: %w", err)
	}
	return b, nil
}
