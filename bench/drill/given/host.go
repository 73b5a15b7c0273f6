package given

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// pollEvery is how often a host is asked whether it runs, pollTimeout how long one answer may take.
	pollEvery   = 5 * time.Millisecond
	pollTimeout = 500 * time.Millisecond
	// goneTimeout is how long after its command's end a host may still answer that was
	// killed or stopped, stopTimeout that of one that was paused, and stillTimeout how soon
	// one that runs would answer.
	goneTimeout  = 10 * time.Second
	stopTimeout  = 2 * time.Second
	stillTimeout = 200 * time.Millisecond
	// silentFor is how long a host that does not refuse connections is silent until it
	// counts as gone, as one whose machine is off.
	silentFor = time.Second
	// runTimeout is how long after its command's end a host may take to answer that was
	// started at the end of a drill, and startTries how often that is tried.
	runTimeout = 20 * time.Second
	startTries = 3
	// sameRun is how far two readings of one start may be apart: a clock that is set
	// moves them by a second.
	sameRun = 1.01
)

// host is a host that somebody else runs. It is no child of this process: whether
// it runs, and whether it is another run than before, is asked at its endpoint.
type host struct {
	cmd   *hostcmd.Host
	addr  string   // of one of its roles
	peers []string // the other hosts' addresses, without ports
	ask   func(ctx context.Context, addr string) (float64, error)

	// began is the start of the run that goes on unless it ends by itself; 0 when any
	// that answers will do.
	began float64
	// killed is the start of the run that was last killed or stopped.
	killed float64
}

func (h *host) ID() vstack.HostID { return h.cmd.ID }

func (h *host) Kill(ctx context.Context) error { return h.end(ctx, hostcmd.Kill) }

func (h *host) Stop(ctx context.Context) error { return h.end(ctx, hostcmd.Stop) }

func (h *host) Start(ctx context.Context) error {
	h.began = 0
	return h.cmd.Do(ctx, hostcmd.Start)
}

func (h *host) Resume(ctx context.Context) error { return h.cmd.Do(ctx, hostcmd.Resume) }
func (h *host) Heal(ctx context.Context) error   { return h.cmd.Do(ctx, hostcmd.Heal) }
func (h *host) Freeze(ctx context.Context) error { return h.cmd.Do(ctx, hostcmd.Freeze) }
func (h *host) Thaw(ctx context.Context) error   { return h.cmd.Do(ctx, hostcmd.Thaw) }

// Pause makes sure that the host does not answer: a pause that is none would look like a
// cluster which bears it well. A stop takes a moment to reach every thread.
func (h *host) Pause(ctx context.Context) error {
	if err := h.cmd.Do(ctx, hostcmd.Pause); err != nil {
		return err
	}
	for began := time.Now(); ; {
		at, err := h.run(ctx, stillTimeout)
		switch {
		case err != nil:
			return nil
		case time.Since(began) > stopTimeout:
			return fmt.Errorf("pause host %s: %w: its command has ended without an error, and %s still answers as the process of %s", h.ID(), vstack.ErrInvalid, h.addr, clock(at))
		case !sleep.For(ctx, pollEvery):
			return context.Cause(ctx)
		}
	}
}

// Cut drops what comes from the other hosts; how clients reach the host is left as it is.
func (h *host) Cut(ctx context.Context, c storm.Cut) error {
	action := hostcmd.Cut
	switch {
	case !c.Receives:
		action = hostcmd.CutSends
	case !c.Sends:
		action = hostcmd.CutReceives
	}
	return h.cmd.Do(ctx, action, "DRILL_PEERS="+strings.Join(h.peers, ","))
}

// end kills or stops the host, and makes sure that the run which was there has ended; a
// service manager may have begun the next.
func (h *host) end(ctx context.Context, a hostcmd.Action) error {
	before := h.began
	if before == 0 {
		var err error
		if before, err = h.run(ctx, pollTimeout); err != nil {
			return fmt.Errorf("%s host %s: it does not run: %w", a, h.ID(), err)
		}
	}
	h.began, h.killed = 0, before
	if err := h.cmd.Do(ctx, a); err != nil {
		return err
	}
	if !h.awaitGone(ctx, before) {
		return fmt.Errorf("%s host %s: %w: its command has ended without an error, and %s still answers as the process of %s",
			a, h.ID(), cmp.Or(context.Cause(ctx), error(vstack.ErrTimeout)), h.addr, clock(before))
	}
	return nil
}

// awaitGone waits until a run has ended, and tells whether it has. An error alone is not
// enough at once: what dies has connections that break before its ports are free.
func (h *host) awaitGone(ctx context.Context, before float64) bool {
	ctx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	var silent time.Time // since when
	for {
		at, err := h.run(ctx, pollTimeout)
		switch {
		case refused(err), err == nil && another(before, at):
			return true
		case err == nil:
			silent = time.Time{}
		case silent.IsZero():
			silent = time.Now()
		case time.Since(silent) > silentFor && ctx.Err() == nil:
			return true
		}
		if !sleep.For(ctx, pollEvery) {
			return false
		}
	}
}

// mend takes back what was done to the host, and makes sure that it runs.
func (h *host) mend(ctx context.Context) error {
	start := h.cmd.Owes(hostcmd.Start)
	if start {
		h.awaitGone(ctx, h.killed) // a command that was broken off may still be at work
	}
	err := h.cmd.Mend(ctx)
	if !start || err != nil {
		return err
	}
	for try := 1; ; try++ {
		if h.awaitRun(ctx) {
			return nil
		}
		if try == startTries {
			return fmt.Errorf("start host %s: %w: its command has ended without an error %d times, and nothing answers at %s: start it by hand", h.ID(), vstack.ErrTimeout, try, h.addr)
		}
		if err := h.Start(ctx); err != nil {
			return err
		}
	}
}

// awaitRun waits until the host answers.
func (h *host) awaitRun(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	for {
		if _, err := h.run(ctx, pollTimeout); err == nil {
			return true
		}
		if !sleep.For(ctx, pollEvery) {
			return false
		}
	}
}

func (h *host) Ended(ctx context.Context) (string, bool) {
	at, err := h.run(ctx, askTimeout)
	before := h.began
	switch {
	case err == nil:
		h.began = at
		if before != 0 && another(before, at) {
			return "what answers at " + h.addr + " was started " + clock(at) + ", not by the drill", false
		}
	case before != 0 && refused(err):
		h.began = 0
		// One without a command is left to its service manager.
		return "nothing listens at " + h.addr, h.cmd.Has(hostcmd.Start)
	}
	return "", false
}

// lost tells whether the host has ended, as Ended would, and leaves it to that.
func (h *host) lost(ctx context.Context) bool {
	_, err := h.run(ctx, pollTimeout)
	return h.began != 0 && refused(err)
}

func (h *host) AwaitEnd(ctx context.Context) bool {
	before := h.began
	h.began = 0 // it may end a little later, and is expected to
	for {
		at, err := h.run(ctx, pollTimeout)
		if refused(err) || err == nil && before != 0 && another(before, at) {
			return true
		}
		if !sleep.For(ctx, pollEvery) {
			return false
		}
	}
}

// run tells when the run that answers began.
func (h *host) run(ctx context.Context, patience time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return h.ask(ctx, h.addr)
}

func another(before, at float64) bool { return math.Abs(at-before) > sameRun }

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func clock(began float64) string { return time.Unix(int64(began), 0).UTC().Format("15:04:05") }
