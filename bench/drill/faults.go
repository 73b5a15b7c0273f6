package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/internal/sleep"
)

const (
	// hangFor is how long a disk hangs: longer than another leader may take.
	hangFor = 5 * time.Second
	// exitAfter is how soon after the thaw a host has ended that gave up on its disk.
	exitAfter = 500 * time.Millisecond
)

func runPartition(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	return s.cut(ctx, n, storm.Cut{Sends: true, Receives: true, Clients: n%2 == 0})
}

// runOneWayCut takes the four kinds in turn.
func runOneWayCut(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	deaf := n%2 == 1
	return s.cut(ctx, n, storm.Cut{Sends: !deaf, Receives: deaf, Clients: n%4 == 3 || n%4 == 0})
}

// cut cuts the leader off: from the other hosts only, so that clients still reach a
// leader who does not know yet that he is none, or from the clients, too.
func (s *session) cut(ctx context.Context, n int, c storm.Cut) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	// A command that reaches a host from afar must find it again.
	c.Clients = c.Clients && s.opt.Given == nil
	pause := s.pause(n)
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := h.Cut(ctx, c); err != nil {
		return t, err
	}
	whom := "the other hosts"
	if c.Clients {
		whom = "everybody"
	}
	took := s.took(t, "%s, leader of term %d, cut off from %s for %s, %s", h.ID(), term, whom, report.Seconds(pause.Seconds()), c)
	alive := sleep.For(ctx, time.Until(took.Add(pause)))
	if err := h.Heal(context.WithoutCancel(ctx)); err != nil || !alive {
		return t, fmt.Errorf("heal the network of host %s: %w", h.ID(), firstError(err, context.Cause(ctx)))
	}
	t.Event(report.EventMend, "%s is reached again", h.ID())
	return t, s.awaitWrite(ctx, time.Now())
}

func runHungDisk(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	hang := s.opt.Pause
	if hang == 0 {
		hang = hangFor
	}
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := h.Freeze(ctx); err != nil {
		return t, err
	}
	took := s.took(t, "the Raft disk of %s, leader of term %d, hangs", h.ID(), term)
	err = s.whileHung(ctx, t, watch, took, hang)
	if err := errors.Join(err, h.Thaw(context.WithoutCancel(ctx))); err != nil {
		return t, err
	}
	t.Event(report.EventMend, "the disk of %s answers again", h.ID())
	// A host that gave up on its disk ends now: a thread that waits for one cannot.
	if !s.gaveUp(ctx, h) {
		return t, s.awaitWrite(ctx, time.Now())
	}
	t.Event(report.EventExit, "%s ended, as it should", h.ID())
	return t, s.revive(ctx, t, h)
}

// whileHung waits for another leader and a write, and until the time has passed.
func (s *session) whileHung(ctx context.Context, t *report.Timeline, watch *watching, took time.Time, hang time.Duration) error {
	if err := watch.wait(ctx); err != nil {
		return err
	}
	if err := s.awaitWrite(ctx, took); err != nil {
		return err
	}
	if !sleep.For(ctx, time.Until(t.Fault.Add(hang))) {
		return context.Cause(ctx)
	}
	return nil
}

// gaveUp waits for a host to end that has decided so, and tells whether it has.
func (s *session) gaveUp(ctx context.Context, h site.Host) bool {
	ctx, cancel := context.WithTimeout(ctx, exitAfter)
	defer cancel()
	return h.AwaitEnd(ctx)
}

func runAllHosts(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	t := s.fault(s.hosts...)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	errs := make([]error, len(s.hosts))
	var wg sync.WaitGroup
	for i, h := range s.hosts {
		wg.Go(func() { errs[i] = h.Kill(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return t, err
	}
	took := s.took(t, "all hosts killed, %s of them the leader of term %d", h.ID(), term)
	for _, h := range s.hosts {
		if err := s.revive(ctx, t, h); err != nil {
			return t, err
		}
	}
	if err := watch.wait(ctx); err != nil {
		return t, err
	}
	return t, s.awaitWrite(ctx, took)
}

func runTransfer(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := s.cluster.Meta.TransferLeader(ctx, ""); err != nil {
		return t, fmt.Errorf("hand the leadership over: %w", err)
	}
	s.took(t, "%s, leader of term %d, asked to hand over", h.ID(), term)
	if err := watch.wait(ctx); err != nil {
		return t, err
	}
	return t, s.awaitWrite(ctx, time.Now())
}
