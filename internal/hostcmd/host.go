package hostcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Action is something that is done to a host.
type Action string

// The actions.
const (
	Kill   Action = "kill"  // as a power cut would
	Stop   Action = "stop"  // an orderly end; the command returns when it has ended
	Start  Action = "start" // mends Kill and Stop
	Pause  Action = "pause"
	Resume Action = "resume" // mends Pause
	// Cut takes the host off the other hosts' network, CutSends drops only what it sends
	// to them, CutReceives what it receives.
	Cut         Action = "cut"
	CutSends    Action = "cut_sends"
	CutReceives Action = "cut_receives"
	Heal        Action = "heal"   // mends those three
	Freeze      Action = "freeze" // the disk of the Raft log hangs
	Thaw        Action = "thaw"   // mends Freeze
	// Upgrade installs another program on a host that is stopped.
	Upgrade Action = "upgrade"
)

// Actions lists them.
func Actions() []Action {
	return []Action{Kill, Stop, Start, Pause, Resume, Cut, CutSends, CutReceives, Heal, Freeze, Thaw, Upgrade}
}

// mend is what takes an action back; empty: it hurts nobody.
func (a Action) mend() Action {
	switch a {
	case Kill, Stop:
		return Start
	case Pause:
		return Resume
	case Cut, CutSends, CutReceives:
		return Heal
	case Freeze:
		return Thaw
	}
	return ""
}

const (
	// mendTries is how often a command that mends is run when it ends with an error, and
	// mendPause the time between.
	mendTries = 3
	mendPause = time.Second
)

// Host is worked by commands. It is not for several goroutines at once.
type Host struct {
	ID vstack.HostID

	timeout  time.Duration
	commands map[Action]string
	owed     []Action // what mends what was begun, the latest last
}

// Has tells whether there is a command for an action.
func (h *Host) Has(a Action) bool { return h.commands[a] != "" }

// Do runs the command of an action. env is added to its environment, which besides has
// DRILL_HOST, the host's id.
func (h *Host) Do(ctx context.Context, a Action, env ...string) error {
	if !h.Has(a) {
		return fmt.Errorf("%s host %s: %w: there is no command", a, h.ID, vstack.ErrInvalid)
	}
	if m := a.mend(); m != "" {
		// Whatever the command's end is, it may have taken effect.
		h.settle(m)
		h.owed = append(h.owed, m)
	}
	if err := run(ctx, h.commands[a], h.timeout, append(env, "DRILL_HOST="+string(h.ID))); err != nil {
		return fmt.Errorf("%s host %s: %w", a, h.ID, err)
	}
	h.settle(a)
	return nil
}

// Owes tells whether an action is owed to the host.
func (h *Host) Owes(a Action) bool { return slices.Contains(h.owed, a) }

// Mend runs what the host is owed, the latest first, and tells what it could not take
// back. Afterwards it is owed nothing.
func (h *Host) Mend(ctx context.Context) error {
	var errs []error
	for len(h.owed) > 0 {
		a := h.owed[len(h.owed)-1]
		err := h.Do(ctx, a)
		for try := 1; err != nil && try < mendTries; try++ {
			select {
			case <-ctx.Done():
			case <-time.After(mendPause):
			}
			err = h.Do(ctx, a)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is left as it is, do by hand what was tried: %w", h.ID, err))
			h.settle(a)
		}
	}
	return errors.Join(errs...)
}

func (h *Host) settle(a Action) {
	h.owed = slices.DeleteFunc(h.owed, func(owed Action) bool { return owed == a })
}
