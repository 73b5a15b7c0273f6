package reconfigure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vstack/vstack/chunkpaxos/epochchange"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// errOver ends an attempt that the catalog gave up.
var errOver = errors.New("the catalog tells of another attempt")

// maxEvents bounds the answers that wait for the machine. It has one message under way to
// each acceptor of a stage; a seal that is awaited no more is left to end by itself, since
// to give it up would cost the connection.
const maxEvents = 4 * vstack.Acceptors

// slowChange is how long a group must have been stopped to be told of in the log.
const slowChange = time.Second

// change is one attempt under way.
type change struct {
	d      *Driver
	store  Store // the driver's
	key    wire.EpochChange
	group  vstack.PGTargets // as the attempt was issued
	ctx    context.Context  // ends with the attempt
	cancel context.CancelCauseFunc
	freed  sync.Once

	inForce   chan struct{} // closed when the map tells of the activation
	announced sync.Once

	// Of run's goroutine.
	machine *epochchange.Reconfigurer
	events  chan epochchange.Event
	verdict <-chan error // of the activation that was asked for; nil before
	sealed  time.Time    // when the first seal left
	stopped time.Duration
	votes   int
	done    *epochchange.Reconfigured
}

func newChange(ctx context.Context, d *Driver, s Store, key wire.EpochChange, g vstack.PGTargets) *change {
	c := &change{d: d, store: s, key: key, group: g, inForce: make(chan struct{}),
		events: make(chan epochchange.Event, maxEvents)}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

// judge compares the attempt with what a newer map says of its group. One that is in
// force goes on with the last install until the next epoch is in force: the seal before
// it may need the acceptor that lacks it.
func (c *change) judge(g vstack.PGTargets) {
	switch {
	case g.Epoch == c.key.Epoch && g.Attempt == c.key.Attempt:
		c.announced.Do(func() { close(c.inForce) })
	case g.Epoch >= c.key.Epoch, g.Next == nil, g.Next.Epoch != c.key.Epoch, g.Next.Attempt != c.key.Attempt:
		c.cancel(errOver)
	}
}

// run drives the machine until it or the attempt ends.
func (c *change) run() error {
	var err error
	c.machine, err = epochchange.New(epochchange.Config{
		PG: c.key.PG, Epoch: c.group.Epoch, Attempt: c.key.Attempt, Old: c.group.Acceptors(), New: c.group.Next.Acceptors(),
	})
	if err != nil {
		return err
	}
	claim := superblock.Record{Kind: superblock.KindClaim, PG: c.key.PG, Epoch: c.key.Epoch, Ballot: message.InstallBallot(c.key.Attempt)}
	if _, err := c.store.Append(c.ctx, claim); err != nil {
		return fmt.Errorf("claim attempt %d: %w", c.key.Attempt, err)
	}
	var sends sync.WaitGroup
	defer sends.Wait()
	defer c.cancel(nil) // before the wait: it ends what is under way
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var token uint64
	var event epochchange.Event = epochchange.Start{}
	inForce := c.inForce
	for {
		for _, act := range c.machine.Step(event) {
			switch act := act.(type) {
			case epochchange.Send:
				c.send(act, &sends)
			case epochchange.SetTimer:
				token = act.Token
				timer.Reset(act.After)
			case epochchange.Activate:
				c.verdict = c.d.activator.ask(c)
			case epochchange.Reconfigured:
				c.done = &act
				return nil
			case epochchange.Failed:
				return act.Err
			}
		}
		select {
		case event = <-c.events:
		case <-timer.C:
			event = epochchange.Timeout{Token: token}
		case err := <-c.verdict:
			event = c.judged(err)
		case <-inForce:
			inForce = nil
			event = c.judged(nil)
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// judged takes Raft's verdict, from its answer or from the map: the first one counts.
func (c *change) judged(err error) epochchange.Event {
	if err == nil && c.stopped == 0 {
		c.stopped = time.Since(c.sealed)
		c.votes = len(c.machine.State().Votes)
		c.d.metrics.stopped.Observe(c.stopped.Seconds())
		c.d.activated(c)
	}
	return epochchange.Activated{Err: err}
}

// send carries a message out in a goroutine of its own, which ends with the attempt.
func (c *change) send(act epochchange.Send, sends *sync.WaitGroup) {
	if c.sealed.IsZero() {
		c.sealed = time.Now()
	}
	to, known := c.d.cfg.Catalog.Placement().Store(act.Call.To)
	ctx, cancel := context.WithTimeout(c.ctx, c.d.cfg.CallTimeout)
	sends.Go(func() {
		defer cancel()
		var event epochchange.Event
		reply, err := message.Reply(nil), fmt.Errorf("%w: the placement map has no address for it", vstack.ErrUnavailable)
		if known {
			reply, err = c.d.cfg.Ask(ctx, to, act.Msg)
		}
		if event = (epochchange.Answer{Call: act.Call, Reply: reply}); err != nil {
			event = epochchange.Unreachable{Call: act.Call, Err: err}
		}
		select {
		case c.events <- event:
		case <-c.ctx.Done():
		}
	})
}

// report tells what became of the attempt.
func (c *change) report(err error) {
	m, log := c.d.metrics, c.d.cfg.Logger.With("pg", c.key.PG, "epoch", c.key.Epoch, "attempt", c.key.Attempt)
	switch {
	case c.stopped > 0:
		m.changes.WithLabelValues(resultActivated).Inc()
		m.votes.Add(float64(c.votes))
		installed := 0
		if c.done != nil {
			installed = len(c.done.Installed)
		}
		level := slog.LevelDebug // a replaced store moves a hundred groups
		if c.stopped > slowChange {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, "epoch changed", "stopped", c.stopped, "votes", c.votes, "installed", installed, "acceptors", len(c.group.Next.Acceptors()))
	case errors.Is(err, errOver):
		m.changes.WithLabelValues(resultOvertaken).Inc()
		log.Info("epoch change overtaken", "driver", c.store.ID())
	case errors.Is(err, context.Canceled): // the process ends; the catalog issues another attempt
	default:
		m.changes.WithLabelValues(resultFailed).Inc()
		log.Warn("epoch change failed; the catalog will issue another attempt", "driver", c.store.ID(), "error", err)
	}
}
