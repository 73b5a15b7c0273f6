package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// width is how many operations a client has in flight, and pause the mean time
	// between two of them: together they spread a job over the faults.
	width = 6
	pause = 250 * time.Millisecond
	// killedShare and resumedShare are the parts of the histories whose owner is killed,
	// and that somebody resumes; some owners are fenced alive.
	killedShare, resumedShare = 0.5, 0.8
)

// places in a lane.
const (
	owner = iota
	contenderA
	contenderB
	resumed
	laneWidth
)

// lane is the client processes of one history after the other.
type lane struct {
	r *runner

	mu    sync.Mutex // guards procs
	procs [laneWidth]*process
}

// all are the processes that run now.
func (l *lane) all() []*process {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*process
	for _, p := range l.procs {
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

// process is the one at a place, started if the last one was killed.
func (l *lane) process(place int) (*process, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.procs[place] == nil {
		p, err := startProcess(l.r.opt, l.r.lab.Client, l.r.stores)
		if err != nil {
			return nil, err
		}
		l.procs[place] = p
	}
	return l.procs[place], nil
}

func (l *lane) kill(place int) error {
	l.mu.Lock()
	p := l.procs[place]
	l.procs[place] = nil
	l.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.kill()
}

// history is one fresh upload and what the clients of a lane saw of its slots.
type history struct {
	lane  *lane
	id    uint64
	rng   *rand.Rand
	up    vstack.Upload
	slots int
	works []*work
	ops   []Op
}

// newHistory opens an upload; the cluster is healthy.
func (l *lane) newHistory(ctx context.Context, id uint64) (*history, error) {
	h := &history{lane: l, id: id, slots: l.r.opt.Slots, rng: rand.New(rand.NewPCG(l.r.opt.Seed, id))}
	up, err := l.r.meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: fmt.Sprintf("history %d", id), Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return nil, fmt.Errorf("history %d: open upload: %w", id, err)
	}
	h.up = up
	return h, nil
}

// begin gives a job of this history to a process of the lane.
func (h *history) begin(place int, j job) (*work, error) {
	p, err := h.lane.process(place)
	if err != nil {
		return nil, err
	}
	j.History, j.Upload, j.Slots, j.Seed = h.id, h.up, h.slots, h.rng.Uint64()
	w, err := p.begin(fmt.Sprintf("%s-%d", j.Role, place), j)
	if err != nil {
		return nil, fmt.Errorf("history %d: %w", h.id, err)
	}
	h.works = append(h.works, w)
	return w, nil
}

// faulted runs all clients against each other until each has done its part.
func (h *history) faulted() error {
	f := h.lane.r.faults
	own, err := h.begin(owner, job{Role: asOwner, Share: 1, Tag: 0, Width: width, Pause: pause})
	if err != nil {
		return err
	}
	for _, place := range []int{contenderA, contenderB} {
		if _, err := h.begin(place, job{Role: asContender, Share: 0.4, Tag: uint64(place), Width: width, Pause: pause}); err != nil {
			return err
		}
	}
	own.reached(1 + h.rng.IntN(h.slots))
	if h.rng.Float64() < killedShare {
		f.count(faultClient, 1)
		if err := h.lane.kill(owner); err != nil {
			return err
		}
	}
	if h.rng.Float64() < resumedShare {
		f.count(faultResumed, 1)
		// Half of them cut the file as the first owner did, half send other bytes.
		if _, err := h.begin(resumed, job{Role: asResumed, Share: 1, Tag: uint64(h.rng.IntN(2) * resumed), Width: width, Pause: pause / 2}); err != nil {
			return err
		}
	}
	return h.collect()
}

// settle has every slot decided and read, on a healthy cluster.
func (h *history) settle() error {
	if _, err := h.begin(contenderA, job{Role: asSettler, Share: 1, Tag: laneWidth, Width: 2 * width}); err != nil {
		return err
	}
	if err := h.collect(); err != nil {
		return err
	}
	if _, err := h.begin(contenderB, job{Role: asContender, Share: 0, Width: 2 * width}); err != nil {
		return err
	}
	return h.collect()
}

// collect waits for the jobs under way. A resume that found no leader in time is no
// error: its client saw nothing.
func (h *history) collect() error {
	for _, w := range h.works {
		ops, err := w.result()
		if err != nil {
			h.lane.r.note("history %d: %v", h.id, err)
		}
		h.ops = append(h.ops, ops...)
	}
	h.works = nil
	return nil
}
