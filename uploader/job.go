package uploader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/early"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/order"
)

// recordVersion is the version of job.json.
const recordVersion = 1

// cutVersion changes whenever this program cuts a file otherwise than before; with
// FFmpeg's version it names what cut a job's chunks.
const cutVersion = 4

// record is a job's durable state, job.json.
type record struct {
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

// Causes with which a job's context ends.
var (
	errCanceledByClient = fmt.Errorf("%w by a client", vstack.ErrCanceled)
	errStopping         = errors.New("the uploader stops")
	errReplaced         = errors.New("the file was sent anew")
)

// job is the work on one upload. Its fields are guarded by mu, but for those before it.
type job struct {
	id     vstack.UploadID
	broken error           // why its state does not read; such a job only waits, see mend
	ctx    context.Context // set by startJob
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when its goroutine has ended

	mu      sync.Mutex
	rec     record
	changed chan struct{} // closed and replaced at each change
	speed   func() float64
	cut     map[uint16]float64 // seconds cut, by track
	early   *early.Cut[*job]   // that has begun while the file arrived; nil for none
	media   *ffmpeg.Media      // as probed when the file arrived; nil after a restart
	asked   context.Context    // of the request that brought the file, for its trace alone; nil after a restart
}

func newJob(rec record) *job {
	return &job{id: rec.Upload.ID, rec: rec, changed: make(chan struct{}), over: make(chan struct{}), cancel: func(error) {}}
}

// newRecord describes an upload that was just opened or resumed.
func newRecord(up vstack.Upload, opt order.Options, duration float64, now time.Time) record {
	return record{Version: recordVersion, Upload: up, Options: opt, Job: wire.Job{
		ID: up.ID.String(), Video: up.Video, Upload: up.ID, Title: opt.Title, State: wire.JobQueued,
		Source: up.Source, Started: now, Updated: now, Duration: duration,
		Renditions: opt.Renditions, Class: opt.Policy, KeepOriginal: opt.KeepOriginal, Visibility: opt.Visibility,
	}}
}

// snapshot is the job as clients see it, and a channel that closes at the next change.
func (j *job) snapshot() (wire.Job, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.rec.Job
	out.Tracks = append([]wire.JobTrack(nil), out.Tracks...)
	out.Warnings = append([]string(nil), out.Warnings...)
	if j.speed != nil {
		out.Speed = j.speed()
	}
	return out, j.changed
}

// record returns a copy to write down.
func (j *job) record() record {
	snap, _ := j.snapshot()
	j.mu.Lock()
	defer j.mu.Unlock()
	rec := j.rec
	rec.Job = snap
	return rec
}

// update changes the record under the lock and wakes whoever waits for it.
func (j *job) update(change func(r *record)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.rec)
	j.rec.Job.Updated = time.Now().UTC()
	close(j.changed)
	j.changed = make(chan struct{})
}

// Begin resets what an attempt counts anew.
func (j *job) Begin(tracks []wire.JobTrack, warnings []string, speed func() float64) {
	j.update(func(r *record) {
		// What held the attempt before stays said until a chunk is chosen.
		r.Job.State = wire.JobRunning
		r.Job.Tracks, r.Job.Warnings = tracks, slices.Concat(r.Notes, warnings)
		r.Job.Chunks, r.Job.Reused, r.Job.Bytes, r.Job.Skipped, r.Job.Position = 0, 0, 0, 0, 0
		j.speed = speed
		j.cut = map[uint16]float64{}
		for _, t := range tracks {
			if t.Kind != vstack.TrackOriginal {
				j.cut[t.Number] = 0
			}
		}
	})
}

// End drops what only a running attempt has.
func (j *job) End() {
	j.update(func(r *record) { j.speed = nil })
}

// chunkDone counts a chunk that is chosen; sent says whether it went over the wire now.
func (j *job) chunkDone(track uint16, size int, sent bool) {
	j.update(func(r *record) {
		r.Job.Chunks++
		if r.Job.State == wire.JobRunning && sent {
			r.Job.Error = nil
		}
		if sent {
			r.Job.Bytes += int64(size)
		} else {
			r.Job.Reused++
			r.Job.Skipped += int64(size)
		}
		for i := range r.Job.Tracks {
			if r.Job.Tracks[i].Number == track {
				r.Job.Tracks[i].Chunks++
			}
		}
	})
}

// held says why no chunk is chosen now: a job that waits for the cluster shows what for.
func (j *job) held(cause error) {
	p := wire.Outward(cause)
	j.update(func(r *record) {
		if r.Job.State == wire.JobRunning || r.Job.State == wire.JobPublishing {
			r.Job.Error = &p
		}
	})
}

// CutTo says how far a track has been cut; the job's position is the slowest track's.
func (j *job) CutTo(track uint16, seconds float64) {
	j.update(func(r *record) {
		if _, ok := j.cut[track]; !ok {
			return
		}
		j.cut[track] = seconds
		slowest := seconds
		for _, s := range j.cut {
			slowest = min(slowest, s)
		}
		r.Job.Position = slowest
	})
}

// CutEnded takes a track that has no more out of the position.
func (j *job) CutEnded(track uint16) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.cut) > 1 {
		delete(j.cut, track)
	}
}

// Named sets what only the init segment tells.
func (j *job) Named(track uint16, codec string) {
	j.update(func(r *record) {
		for i := range r.Job.Tracks {
			if r.Job.Tracks[i].Number == track {
				r.Job.Tracks[i].Codec = codec
			}
		}
	})
}

func (j *job) Warn(text string) {
	j.update(func(r *record) {
		if len(r.Job.Warnings) < 100 {
			r.Job.Warnings = append(r.Job.Warnings, text)
		}
	})
}

// decodeRecord reads a state file; a version that this program does not know is an error.
func decodeRecord(b []byte) (record, error) {
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil {
		return record{}, fmt.Errorf("read job: %w: %w", vstack.ErrInvalid, err)
	}
	if rec.Version != recordVersion || rec.Upload.ID.IsZero() || rec.Upload.Video.IsZero() {
		return record{}, fmt.Errorf("read job: %w: version %d (this program reads %d), upload %s", vstack.ErrInvalid, rec.Version, recordVersion, rec.Upload.ID)
	}
	return rec, nil
}

func encodeRecord(rec record) ([]byte, error) {
	b, err := json.MarshalIndent(rec, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write job: %w", err)
	}
	return b, nil
}
