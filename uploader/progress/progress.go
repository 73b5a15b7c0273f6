package progress

import (
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Progress is what is known of a job. It is safe for concurrent use.
type Progress struct {
	mu      sync.Mutex
	rec     Record
	changed chan struct{} // closed and replaced at each change
	speed   func() float64
	cut     map[uint16]float64 // seconds cut, by track
}

// New makes the progress of a job that has a record.
func New(rec Record) *Progress { return &Progress{rec: rec, changed: make(chan struct{})} }

// Snapshot is the job as clients see it, and a channel that closes at the next change.
func (p *Progress) Snapshot() (wire.Job, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.rec.Job
	out.Tracks = append([]wire.JobTrack(nil), out.Tracks...)
	out.Warnings = append([]string(nil), out.Warnings...)
	if p.speed != nil {
		out.Speed = p.speed()
	}
	return out, p.changed
}

// Record returns a copy to write down.
func (p *Progress) Record() Record {
	snap, _ := p.Snapshot()
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := p.rec
	rec.Job = snap
	return rec
}

// Update changes the record under the lock and wakes whoever waits for it.
func (p *Progress) Update(change func(r *Record)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.rec)
	p.rec.Job.Updated = time.Now().UTC()
	close(p.changed)
	p.changed = make(chan struct{})
}

// Begin resets what an attempt counts anew.
func (p *Progress) Begin(tracks []wire.JobTrack, warnings []string, speed func() float64) {
	p.Update(func(r *Record) {
		// What held the attempt before stays said until a chunk is chosen.
		r.Job.State = wire.JobRunning
		r.Job.Tracks, r.Job.Warnings = tracks, slices.Concat(r.Notes, warnings)
		r.Job.Chunks, r.Job.Reused, r.Job.Bytes, r.Job.Skipped, r.Job.Position = 0, 0, 0, 0, 0
		p.speed = speed
		p.cut = map[uint16]float64{}
		for _, t := range tracks {
			if t.Kind != vstack.TrackOriginal {
				p.cut[t.Number] = 0
			}
		}
	})
}

// End drops what only a running attempt has.
func (p *Progress) End() {
	p.Update(func(r *Record) { p.speed = nil })
}

// ChunkDone counts a chunk that is chosen; sent says whether it went over the wire now.
func (p *Progress) ChunkDone(track uint16, size int, sent bool) {
	p.Update(func(r *Record) {
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

// Held says why no chunk is chosen now: a job that waits for the cluster shows what for.
func (p *Progress) Held(cause error) {
	said := wire.Outward(cause)
	p.Update(func(r *Record) {
		if r.Job.State == wire.JobRunning || r.Job.State == wire.JobPublishing {
			r.Job.Error = &said
		}
	})
}

// CutTo says how far a track has been cut; the job's position is the slowest track's.
func (p *Progress) CutTo(track uint16, seconds float64) {
	p.Update(func(r *Record) {
		if _, ok := p.cut[track]; !ok {
			return
		}
		p.cut[track] = seconds
		slowest := seconds
		for _, s := range p.cut {
			slowest = min(slowest, s)
		}
		r.Job.Position = slowest
	})
}

// CutEnded takes a track that has no more out of the position.
func (p *Progress) CutEnded(track uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.cut) > 1 {
		delete(p.cut, track)
	}
}

// Named sets what only the init segment tells.
func (p *Progress) Named(track uint16, codec string) {
	p.Update(func(r *Record) {
		for i := range r.Job.Tracks {
			if r.Job.Tracks[i].Number == track {
				r.Job.Tracks[i].Codec = codec
			}
		}
	})
}

// Warn adds a warning, up to a hundred.
func (p *Progress) Warn(text string) {
	p.Update(func(r *Record) {
		if len(r.Job.Warnings) < 100 {
			r.Job.Warnings = append(r.Job.Warnings, text)
		}
	})
}
