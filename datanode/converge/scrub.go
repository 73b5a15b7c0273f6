package converge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// scrubRuns is the refusal of a second scrub.
func scrubRuns(id vstack.StoreID) error {
	return fmt.Errorf("scrub of store %s: %w: one runs or waits to run", id, vstack.ErrAlreadyExists)
}

// errStopped ends a pass that somebody ended.
var errStopped = errors.New("scrub stopped")

// scrubState is what ScrubStatus tells, behind the Loop's lock.
type scrubState struct {
	wire.ScrubStatus
	stop context.CancelCauseFunc // of the pass that runs
}

// StopScrub ends the pass that runs, or that waits to run; the next one comes when it is due or
// asked for, and begins at the beginning.
func (l *Loop) StopScrub() {
	select {
	case <-l.scrubs: // it has not begun
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.scrub.stop != nil {
		l.scrub.stop(errStopped)
	}
}

// Scrub asks RunScrub to start a pass over every stored byte now, at rate bytes a second, 0 for
// the configured one. ErrAlreadyExists when one runs or waits.
func (l *Loop) Scrub(rate int64) error {
	if rate <= 0 {
		rate = l.cfg.ScrubRate
	}
	l.mu.Lock()
	running := l.scrub.Running
	l.mu.Unlock()
	if running {
		return scrubRuns(l.cfg.Disk.ID())
	}
	select {
	case l.scrubs <- rate:
		return nil
	default:
		return scrubRuns(l.cfg.Disk.ID())
	}
}

// ScrubEvery is the time between two passes.
func (l *Loop) ScrubEvery() time.Duration { return l.cfg.ScrubEvery }

// ScrubStatus is the running or the last pass.
func (l *Loop) ScrubStatus() wire.ScrubStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.scrub.ScrubStatus
}

// scrubWait is how long a start puts a scrub off that is due: a host that starts has other
// things to do.
const scrubWait = 10 * time.Minute

// nextScrub is the time to the next pass: passes are counted from the end of the last one,
// whichever process did it, or a store of a host that restarts often would never be scrubbed.
func (l *Loop) nextScrub(now time.Time) time.Duration {
	every := l.cfg.ScrubEvery
	passed := l.ScrubStatus().Passed
	if passed.IsZero() || passed.After(now) { // a new store, or a clock that was wrong
		return every
	}
	return max(every-now.Sub(passed), min(scrubWait, every/100))
}

// RunScrub scrubs every ScrubEvery, and when asked, until ctx ends.
func (l *Loop) RunScrub(ctx context.Context) error {
	timer := time.NewTimer(l.nextScrub(time.Now()))
	defer timer.Stop()
	for {
		rate := l.cfg.ScrubRate
		select {
		case rate = <-l.scrubs:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		l.scrubOnce(ctx, rate)
		timer.Reset(l.cfg.ScrubEvery)
	}
}

func (l *Loop) scrubOnce(ctx context.Context, rate int64) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.mu.Lock()
	l.scrub.Running, l.scrub.Started, l.scrub.Rate = true, time.Now().UTC(), rate
	l.scrub.Ended, l.scrub.Error = time.Time{}, ""
	l.scrub.stop = cancel
	l.mu.Unlock()
	report, err := l.cfg.Disk.Scrub(ctx, rate, func(id vstack.ChunkID, p vstack.Piece, _ error) { l.CorruptPiece(id, p) })
	if done, whole := l.scrubbed(ctx, report, err); whole {
		if err := l.cfg.KeepScrub(done); err != nil {
			l.cfg.Logger.Warn("cannot keep when the scrub ended: a restart will not know", "store", l.cfg.Disk.ID(), "error", err)
		}
	}
}

// scrubbed notes how a pass ended, and whether it reached its end.
func (l *Loop) scrubbed(ctx context.Context, report superblock.ScrubReport, err error) (wire.ScrubStatus, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scrub.Running, l.scrub.Ended, l.scrub.stop = false, time.Now().UTC(), nil
	l.scrub.Chunks, l.scrub.Bytes, l.scrub.Corrupt = int64(report.Chunks), report.Bytes, int64(report.Bad)
	l.scrub.Unproven = int64(report.Unproven)
	switch {
	case err == nil:
		l.scrub.Passes++
		l.scrub.Passed = l.scrub.Ended
		l.cfg.Logger.Info("scrub finished", "store", l.cfg.Disk.ID(), "chunks", report.Chunks, "bytes", report.Bytes, "bad", report.Bad)
	case errors.Is(context.Cause(ctx), errStopped):
		l.scrub.Error = "stopped"
		l.cfg.Logger.Info("scrub stopped", "store", l.cfg.Disk.ID(), "chunks", report.Chunks, "bytes", report.Bytes, "bad", report.Bad)
	case ctx.Err() != nil || errors.Is(err, vstack.ErrClosed):
		l.scrub.Error = "interrupted by shutdown"
	default:
		l.scrub.Error = err.Error()
		l.cfg.Logger.Error("scrub ended early", "store", l.cfg.Disk.ID(), "error", err)
	}
	return l.scrub.ScrubStatus, err == nil
}
