package drill

import (
	"context"

	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
)

// host is one host of the cluster, and what can be done to it. Drills do not know
// whether it is of a lab of their own or given.
type host interface {
	ID() vstack.HostID
	// Kill ends it as a power cut would. It has ended when Kill returns.
	Kill(ctx context.Context) error
	// Stop asks it to end, and returns when it has.
	Stop(ctx context.Context) error
	// Start runs it again; site.ready tells when it serves.
	Start(ctx context.Context) error
	// Pause stops it from running until Resume.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	// Cut takes it off the network until Heal.
	Cut(ctx context.Context, c storm.Cut) error
	Heal(ctx context.Context) error
	// Freeze lets the disk of its Raft log hang until Thaw.
	Freeze(ctx context.Context) error
	Thaw(ctx context.Context) error
	// Ended tells of an end that was not asked for: what is known of it, and whether the
	// host is down still. It tells of each end once at least.
	Ended(ctx context.Context) (exit string, down bool)
	// AwaitEnd waits for an end until ctx ends, and tells whether there was one.
	AwaitEnd(ctx context.Context) bool
}

// labHost is a host of a place.
type labHost struct {
	process *lab.Host
	place   *place
	index   int // among the place's hosts
}

func (h *labHost) ID() vstack.HostID              { return h.process.ID }
func (h *labHost) Kill(context.Context) error     { return h.process.Kill() }
func (h *labHost) Stop(context.Context) error     { return h.process.Stop() }
func (h *labHost) Start(context.Context) error    { return h.process.Start() }
func (h *labHost) Pause(context.Context) error    { return h.process.Pause() }
func (h *labHost) Resume(context.Context) error   { return h.process.Resume() }
func (h *labHost) Heal(ctx context.Context) error { return h.place.lab.Net.Heal(ctx, h.index) }
func (h *labHost) Freeze(context.Context) error   { return h.place.lab.Disk(h.process).Freeze() }
func (h *labHost) Thaw(context.Context) error     { return h.place.lab.Disk(h.process).Thaw() }

func (h *labHost) Cut(ctx context.Context, c storm.Cut) error {
	from := h.place.lab.Others(h.index)
	if c.Clients {
		from = append(from, h.place.lab.Net.Self())
	}
	return h.place.lab.Net.Cut(ctx, h.index, c.Sends, c.Receives, from...)
}

func (h *labHost) Ended(context.Context) (string, bool) {
	if h.process.Pid() != 0 {
		return "", false
	}
	return h.process.LogTail(3), true
}

func (h *labHost) AwaitEnd(ctx context.Context) bool {
	select {
	case <-h.process.Exited():
		return true
	case <-ctx.Done():
		return false
	}
}
