package uploader

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
)

// maxCommit bounds one try of a commit.
const maxCommit = time.Minute

// sender commits the chunks of one attempt, several at once. The server's window is
// shared by all attempts: Send blocks while it is full, and that is the back-pressure
// that reaches ffmpeg.
type sender struct {
	srv    *Server
	job    *job
	up     vstack.Upload
	chosen map[vstack.Slot]vstack.Value // before this attempt; not changed
	g      errgroup.Group
	ctx    context.Context // of the attempt
	fail   context.CancelCauseFunc
}

// newSender makes the sender of an attempt; fail ends the attempt's context.
func newSender(ctx context.Context, fail context.CancelCauseFunc, s *Server, j *job, up vstack.Upload, chosen map[vstack.Slot]vstack.Value) *sender {
	return &sender{srv: s, job: j, up: up, chosen: chosen, ctx: ctx, fail: fail}
}

// Send takes over data and returns as soon as its commit has begun. The error of a
// commit ends the attempt, and Wait returns it.
func (s *sender) Send(slot vstack.Slot, ref vstack.ChunkRef, leaves vstack.LeafTable, data []byte) error {
	want := vstack.Value{Chunk: ref.ID, Size: ref.Size}
	if have, ok := s.chosen[slot]; ok {
		if have != want {
			return conflict(slot, have, want)
		}
		s.job.chunkDone(slot.Track, len(data), false)
		s.srv.metrics.chunks.WithLabelValues("reused").Inc()
		return nil
	}
	weight, err := s.srv.window.Acquire(s.ctx, s.job.id, int64(len(data)))
	if err != nil {
		return fmt.Errorf("send chunks: %w", err)
	}
	s.g.Go(func() error {
		defer s.srv.window.Release(s.job.id, weight)
		err := s.commit(slot, want, leaves, data)
		if err != nil {
			s.fail(err)
		}
		return err
	})
	return nil
}

// Wait returns once no commit is on its way.
func (s *sender) Wait() error { return s.g.Wait() }

// commit tries one chunk until it is chosen, for at most CommitTimeout. Trying again
// with the same bytes under the same incarnation is the same proposal. What the cluster
// said last is the job's error meanwhile, and the attempt's in the end: that the time was
// up tells nobody what is missing.
func (s *sender) commit(slot vstack.Slot, want vstack.Value, leaves vstack.LeafTable, data []byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.srv.cfg.CommitTimeout)
	defer cancel()
	began := time.Now()
	var why error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		call, end := context.WithTimeout(ctx, min(maxCommit, s.srv.cfg.CommitTimeout))
		got, err := s.srv.cfg.Chunks.CommitValue(call, s.up, slot, want, leaves, data)
		end()
		if err == nil && got.Value != want {
			err = conflict(slot, got.Value, want)
		}
		if err == nil {
			s.srv.metrics.committed(len(data), got.Sent, time.Since(began))
			s.job.chunkDone(slot.Track, len(data), true)
			return nil
		}
		if !transient(err) || s.ctx.Err() != nil {
			return fmt.Errorf("commit %s: %w", slot, err)
		}
		if why == nil || !errors.Is(err, context.DeadlineExceeded) {
			why = err
		}
		s.srv.metrics.chunks.WithLabelValues("retried").Inc()
		s.job.held(why)
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return fmt.Errorf("commit %s: tried for %s: %w", slot, s.srv.cfg.CommitTimeout, why)
		}
	}
}

func conflict(slot vstack.Slot, have, want vstack.Value) error {
	return fmt.Errorf("slot %s holds chunk %s of %d bytes, this cut has %s of %d: %w: the file was cut differently before; upload it anew",
		slot, have.Chunk.Short(), have.Size, want.Chunk.Short(), want.Size, vstack.ErrSlotConflict)
}

// transient says that the cluster may be able to do later what it cannot do now.
func transient(err error) bool {
	for _, s := range []error{
		vstack.ErrNoQuorum, vstack.ErrUnavailable, vstack.ErrTimeout, vstack.ErrNoLeader, vstack.ErrOutcomeUnknown,
		vstack.ErrNotReady, vstack.ErrCatalogLagging, vstack.ErrEpochStale, vstack.ErrNotAcceptor, vstack.ErrAmnesic,
		vstack.ErrBallotStale, vstack.ErrClosed, context.DeadlineExceeded,
	} {
		if errors.Is(err, s) {
			return true
		}
	}
	return false
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
