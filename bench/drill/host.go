package drill

import (
	"context"

	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/vstack"
)

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
