package reconfigure

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// activator asks the metastore to activate attempts, all that wait in one request: those
// that come while one is under way share the next.
type activator struct {
	cfg   *Config
	queue chan waiting // at most one a placement group waits
}

// waiting is an attempt whose verdict is awaited.
type waiting struct {
	key     wire.EpochChange
	ctx     context.Context // ends with the attempt
	verdict chan<- error    // capacity 1
}

func newActivator(cfg *Config) *activator {
	return &activator{cfg: cfg, queue: make(chan waiting, vstack.PlacementGroups)}
}

// ask queues an attempt, which may ask once. Its verdict comes when it is known: nil, or
// why it never will be in force.
func (a *activator) ask(c *change) <-chan error {
	verdict := make(chan error, 1)
	select {
	case a.queue <- waiting{key: c.key, ctx: c.ctx, verdict: verdict}:
	case <-c.ctx.Done(): // the queue is full of attempts that have ended
	}
	return verdict
}

// run asks until ctx ends. An answer that does not come leaves the fate of a request
// unknown, so it is made again: the metastore answers a repeat the same.
func (a *activator) run(ctx context.Context) {
	var open []waiting
	pause := a.cfg.RetryMin
	for {
		if len(open) == 0 {
			select {
			case w := <-a.queue:
				open = append(open, w)
			case <-ctx.Done():
				return
			}
		}
		open = living(a.drain(open))
		if len(open) == 0 {
			continue
		}
		left, err := a.send(ctx, open)
		open = left
		if err == nil {
			pause = a.cfg.RetryMin
			continue
		}
		if ctx.Err() != nil {
			return
		}
		a.cfg.Logger.Warn("metastore did not activate epochs yet", "groups", len(open), "error", err, "retry_in", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, a.cfg.RetryMax)
	}
}

// drain adds all that wait by now.
func (a *activator) drain(open []waiting) []waiting {
	for len(open) < vstack.PlacementGroups {
		select {
		case w := <-a.queue:
			open = append(open, w)
		default:
			return open
		}
	}
	return open
}

// living leaves out attempts that have ended meanwhile.
func living(open []waiting) []waiting {
	var out []waiting
	for _, w := range open {
		if w.ctx.Err() == nil {
			out = append(out, w)
		}
	}
	return out
}

// send asks once and tells the verdicts that came; left has none yet.
func (a *activator) send(ctx context.Context, open []waiting) (left []waiting, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.ActivateTimeout)
	defer cancel()
	changes := make([]wire.EpochChange, len(open))
	for i, w := range open {
		changes[i] = w.key
	}
	reply, err := a.cfg.Activate(ctx, changes)
	if err != nil {
		return open, fmt.Errorf("activate %d epochs: %w", len(changes), err)
	}
	verdicts := make(map[wire.EpochChange]error, len(open))
	for _, key := range reply.Activated {
		verdicts[key] = nil
	}
	for _, key := range reply.Refused {
		verdicts[key] = fmt.Errorf("%w: another attempt was issued", vstack.ErrEpochStale)
	}
	for _, w := range open {
		verdict, known := verdicts[w.key]
		if !known {
			left = append(left, w)
			continue
		}
		w.verdict <- verdict
	}
	if len(left) > 0 {
		return left, fmt.Errorf("activate %d epochs: %w: the answer is silent about %d", len(changes), vstack.ErrInternal, len(left))
	}
	return nil, nil
}
