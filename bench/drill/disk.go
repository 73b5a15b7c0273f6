package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/lab/loopdisk"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

const (
	// slowFor is how long a disk is slow.
	slowFor = 10 * time.Second
	// slowPulse is how long each of its writes waits, and slowThaw how long it answers in
	// between: enough for a write or two.
	slowPulse = 300 * time.Millisecond
	slowThaw  = 15 * time.Millisecond
	// calmShare is the share of slow writes that a busy machine may have without a fault.
	calmShare = 0.05
	calmLimit = 2 * disk.Window
	// pressers write at a time to a log whose disk is full: its file may have pages to
	// spare, which the load alone would take a minute to use up.
	pressers = 8
)

// loopDisk is the disk of a host of the drill's own.
func loopDisk(h site.Host) (*loopdisk.Disk, error) {
	if l, ok := h.(*labHost); ok {
		if d := l.place.lab.Disk(l.process); d != nil {
			return d, nil
		}
	}
	return nil, errNoLab(h)
}

// errNoLab refuses what only a host of the drill's own has.
func errNoLab(h site.Host) error {
	return fmt.Errorf("host %s: %w: it is not of a lab of the drill's own", h.ID(), vstack.ErrInvalid)
}

func runFullDisk(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	video, err := s.pressed(ctx)
	if err != nil {
		return nil, err
	}
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	disk, err := loopDisk(h)
	if err != nil {
		return nil, err
	}
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := disk.Fill(); err != nil {
		return t, err
	}
	took := s.took(t, "the Raft disk of %s, leader of term %d, is full", h.ID(), term)
	err = s.untilItEnds(ctx, t, h, video)
	if err == nil {
		err = watch.wait(ctx)
	}
	if err == nil {
		err = s.awaitWrite(ctx, took)
	}
	if err := errors.Join(err, disk.Free()); err != nil {
		return t, err
	}
	t.Event(report.EventMend, "the disk of %s has space again", h.ID())
	return t, s.revive(ctx, t, h)
}

// pressed makes the video that untilItEnds writes to.
func (s *session) pressed(ctx context.Context) (vstack.VideoID, error) {
	up, err := s.cluster.Meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: "drill", Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return vstack.VideoID{}, fmt.Errorf("make a video to write to: %w", err)
	}
	return up.Video, s.cluster.Meta.AbortUpload(ctx, up.ID, up.Incarnation)
}

// untilItEnds writes as much as it can until a host has ended by itself.
func (s *session) untilItEnds(ctx context.Context, t *report.Timeline, h site.Host, video vstack.VideoID) error {
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	press, stop := context.WithCancel(ctx)
	defer stop()
	for i := range pressers {
		wg.Go(func() {
			for n := i; press.Err() == nil; n++ {
				title := strings.Repeat(string(rune('a'+n%26)), vstack.MaxTitle)
				// What it comes to is the load's business; between leaders it waits itself.
				_, _ = s.cluster.Meta.PatchVideo(press, video, wire.VideoPatch{Title: &title})
			}
		})
	}
	if !h.AwaitEnd(ctx) {
		return fmt.Errorf("host %s goes on although the disk of its log is full: %w: %w", h.ID(), vstack.ErrTimeout, context.Cause(ctx))
	}
	t.Event(report.EventExit, "%s ended, as it should", h.ID())
	return nil
}

func runSlowDisk(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	h, term, err := s.slowVictim(ctx, s.hosts[(n-1)%len(s.hosts)])
	if err != nil {
		return nil, err
	}
	last := s.opt.Pause
	if last == 0 {
		last = slowFor
	}
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	took := s.took(t, "the Raft disk of %s, leader of term %d, answers for %s in %s", h.ID(), term, report.Seconds(slowThaw.Seconds()), report.Seconds((slowPulse + slowThaw).Seconds()))
	for time.Since(took) < last {
		if err := pulse(ctx, h); err != nil {
			return t, err
		}
	}
	select {
	case <-watch.found:
	default:
		t.Event(report.EventLeader, "%s leads still", h.ID())
	}
	t.Event(report.EventMend, "the disk of %s is quick again", h.ID())
	return t, s.awaitWrite(ctx, time.Now())
}

// slowVictim has the hosts lead in turn, since one member hands over because of its disk
// once a minute at most, and waits until none remembers the repetition before; not for
// long, since on a busy machine none may ever forget.
func (s *session) slowVictim(ctx context.Context, want site.Host) (h site.Host, term uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	for began := time.Now(); ; {
		if h, term, err = s.leader(ctx); err != nil {
			return nil, 0, err
		}
		if h == want && (s.calm(ctx) || time.Since(began) > calmLimit) {
			return h, term, nil
		}
		if h != want {
			// What does not succeed is tried again.
			err = s.cluster.Meta.TransferLeader(ctx, string(want.ID()))
		}
		if !sleep.For(ctx, 2*slowThaw) {
			return nil, 0, fmt.Errorf("have %s lead, with quick disks: %w", want.ID(), errors.Join(err, context.Cause(ctx)))
		}
	}
}

// calm reports whether every member's disk was quick lately.
func (s *session) calm(ctx context.Context) bool {
	for _, addr := range s.members {
		if p, err := s.self(ctx, addr); err != nil || p.DiskSlow > calmShare {
			return false
		}
	}
	return true
}

// pulse lets the disk hang and answer for a moment.
func pulse(ctx context.Context, h site.Host) error {
	if err := h.Freeze(ctx); err != nil {
		return err
	}
	alive := sleep.For(ctx, slowPulse)
	if err := h.Thaw(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if !alive || !sleep.For(ctx, slowThaw) {
		return context.Cause(ctx)
	}
	return nil
}
