package drill

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/deploy/lab"
)

const (
	// hangFor is how long a disk hangs: longer than another leader may take.
	hangFor = 5 * time.Second
	// exitAfter is how soon after the thaw a host has ended that gave up on its disk.
	exitAfter = 500 * time.Millisecond
)

func runPartition(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	return s.cut(ctx, n, true, true, n%2 == 0)
}

// runOneWayCut takes the four kinds in turn.
func runOneWayCut(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	deaf := n%2 == 1
	return s.cut(ctx, n, !deaf, deaf, n%4 == 3 || n%4 == 0)
}

// cut cuts the leader off. What it sends is dropped, or what it receives, or both; from
// the other hosts only, so that clients still reach a leader who does not know yet that
// he is none, or from the clients, too.
func (s *session) cut(ctx context.Context, n int, sends, receives, clients bool) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.Index(s.lab.Hosts, h)
	var from []netip.Addr
	for _, other := range s.lab.Hosts {
		if other != h {
			from = append(from, netip.MustParseAddr(other.Addr())) // place has parsed it
		}
	}
	whom := "the other hosts"
	if clients {
		from, whom = append(from, s.net.Self()), "everybody"
	}
	way := map[[2]bool]string{{true, true}: "both ways", {true, false}: "and cannot send", {false, true}: "and cannot receive"}[[2]bool{sends, receives}]
	pause := s.pause(n)
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := s.net.Cut(ctx, i, sends, receives, from...); err != nil {
		return t, err
	}
	took := s.took(t, "%s, leader of term %d, cut off from %s for %s, %s", h.ID, term, whom, report.Seconds(pause.Seconds()), way)
	if !load.Wait(ctx, time.Until(took.Add(pause))) {
		return t, context.Cause(ctx)
	}
	if err := s.net.Heal(ctx, i); err != nil {
		return t, err
	}
	t.Event(report.EventMend, "%s is reached again", h.ID)
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
	disk := s.disks[h]
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := disk.Freeze(); err != nil {
		return t, err
	}
	took := s.took(t, "the Raft disk of %s, leader of term %d, hangs", h.ID, term)
	err = s.whileHung(ctx, t, watch, took, hang)
	if err := errors.Join(err, disk.Thaw()); err != nil {
		return t, err
	}
	t.Event(report.EventMend, "the disk of %s answers again", h.ID)
	// A host that gave up on its disk ends now: a thread that waits for one cannot.
	if !s.gaveUp(ctx, h) {
		return t, s.awaitWrite(ctx, time.Now())
	}
	t.Event(report.EventExit, "%s ended, as it should", h.ID)
	return t, s.revive(t, h)
}

// whileHung waits for another leader and a write, and until the time has passed.
func (s *session) whileHung(ctx context.Context, t *report.Timeline, watch *watching, took time.Time, hang time.Duration) error {
	if err := watch.wait(ctx); err != nil {
		return err
	}
	if err := s.awaitWrite(ctx, took); err != nil {
		return err
	}
	if !load.Wait(ctx, time.Until(t.Fault.Add(hang))) {
		return context.Cause(ctx)
	}
	return nil
}

// gaveUp waits for a host to end that has decided so, and tells whether it has.
func (s *session) gaveUp(ctx context.Context, h *lab.Host) bool {
	ctx, cancel := context.WithTimeout(ctx, exitAfter)
	defer cancel()
	select {
	case <-h.Exited():
		return true
	case <-ctx.Done():
		return false
	}
}

func runAllHosts(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	t := s.fault(s.lab.Hosts...)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	errs := make([]error, len(s.lab.Hosts))
	var wg sync.WaitGroup
	for i, h := range s.lab.Hosts {
		wg.Go(func() { errs[i] = h.Kill() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return t, err
	}
	took := s.took(t, "all hosts killed, %s of them the leader of term %d", h.ID, term)
	for _, h := range s.lab.Hosts {
		if err := s.revive(t, h); err != nil {
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
	s.took(t, "%s, leader of term %d, asked to hand over", h.ID, term)
	if err := watch.wait(ctx); err != nil {
		return t, err
	}
	return t, s.awaitWrite(ctx, time.Now())
}
