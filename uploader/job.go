package uploader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// recordVersion is the version of job.json.
const recordVersion = 1

// record is a job's durable state, job.json.
type record struct {
	Version int           `json:"version"`
	Upload  vstack.Upload `json:"upload"`
	// NextOwner is who the next incarnation is asked for. It is on disk before the
	// catalog is asked, so that a restarted process knows its own resume from another's.
	NextOwner vstack.ProposerID `json:"next_owner,omitzero"`
	Options   options           `json:"options"`
	Job       wire.Job          `json:"job"`
}

// options are what the client asked for; a cut is a function of them and of the file.
type options struct {
	Title        string             `json:"title"`
	Policy       vstack.ClassPolicy `json:"policy"`
	Renditions   []string           `json:"renditions"`
	KeepOriginal bool               `json:"keep_original"`
}

// Causes with which a job's context ends.
var (
	errCanceledByClient = fmt.Errorf("%w by a client", vstack.ErrCanceled)
	errStopping         = errors.New("the uploader stops")
)

// job is the work on one upload. Its fields are guarded by mu, but for the first three.
type job struct {
	id     vstack.UploadID
	ctx    context.Context // set by startJob
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	rec     record
	changed chan struct{} // closed and replaced at each change
	speed   func() float64
	cut     map[uint16]float64 // seconds cut, by track
}

func newJob(rec record) *job {
	return &job{id: rec.Upload.ID, rec: rec, changed: make(chan struct{}), cancel: func(error) {}}
}

// newRecord describes an upload that was just opened or resumed.
func newRecord(up vstack.Upload, opt options, duration float64, now time.Time) record {
	return record{Version: recordVersion, Upload: up, Options: opt, Job: wire.Job{
		ID: up.ID.String(), Video: up.Video, Upload: up.ID, Title: opt.Title, State: wire.JobQueued,
		Source: up.Source, Started: now, Updated: now, Duration: duration,
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

// begin resets what an attempt counts anew.
func (j *job) begin(tracks []wire.JobTrack, warnings []string, speed func() float64) {
	j.update(func(r *record) {
		// What held the attempt before stays said until a chunk is chosen.
		r.Job.State = wire.JobRunning
		r.Job.Tracks, r.Job.Warnings = tracks, warnings
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

// end drops what only a running attempt has.
func (j *job) end() {
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
	p := wire.ProblemOf(cause)
	j.update(func(r *record) {
		if r.Job.State == wire.JobRunning {
			r.Job.Error = &p
		}
	})
}

// cutTo says how far a track has been cut; the job's position is the slowest track's.
func (j *job) cutTo(track uint16, seconds float64) {
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

// cutEnded takes a track that has no more out of the position.
func (j *job) cutEnded(track uint16) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.cut) > 1 {
		delete(j.cut, track)
	}
}

// named sets what only the init segment tells.
func (j *job) named(track uint16, codec string) {
	j.update(func(r *record) {
		for i := range r.Job.Tracks {
			if r.Job.Tracks[i].Number == track {
				r.Job.Tracks[i].Codec = codec
			}
		}
	})
}

func (j *job) warn(text string) {
	j.update(func(r *record) {
		if len(r.Job.Warnings) < 100 {
			r.Job.Warnings = append(r.Job.Warnings, text)
		}
	})
}
