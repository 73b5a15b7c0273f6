package send

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/uploader/window"
)

// maxCommit bounds one try of a commit.
const maxCommit = time.Minute

// Committer gets chunks chosen; *quicclient.Client is one.
type Committer interface {
	// CommitValue has one slot filled with data, whose name is value and whose leaf table is
	// leaves; nil if it is not known. A slot that holds
	// another chunk is ErrSlotConflict; an upload that another process resumed is ErrFenced.
	CommitValue(ctx context.Context, up vstack.Upload, slot vstack.Slot, value vstack.Value, leaves vstack.LeafTable, data []byte) (quicclient.Committed, error)
}

// Job is told what becomes of its chunks.
type Job interface {
	// ChunkDone counts a chunk that is chosen; sent says whether it went over the wire now.
	ChunkDone(track uint16, size int, sent bool)
	// Held says why no chunk is chosen now.
	Held(cause error)
}

// Config configures the senders of one uploader.
type Config struct {
	Chunks Committer
	// Timeout is how long one chunk is tried.
	Timeout time.Duration
	// Window bounds what is on its way, over all senders.
	Window  *window.Window
	Metrics *Metrics
}

// Sender commits the chunks of one attempt, several at once. The window is shared by all
// attempts: Send blocks while it is full, and that is the back-pressure that reaches ffmpeg.
type Sender struct {
	cfg    Config
	job    Job
	up     vstack.Upload
	chosen map[vstack.Slot]vstack.Value // before this attempt; not changed
	g      errgroup.Group
	ctx    context.Context // of the attempt
	fail   context.CancelCauseFunc
}

// New makes the sender of an attempt upon up, of which chosen are chosen already; fail ends the
// attempt's context.
func New(ctx context.Context, fail context.CancelCauseFunc, cfg Config, job Job, up vstack.Upload, chosen map[vstack.Slot]vstack.Value) *Sender {
	return &Sender{cfg: cfg, job: job, up: up, chosen: chosen, ctx: ctx, fail: fail}
}

// Send takes over data and returns as soon as its commit has begun. The error of a
// commit ends the attempt, and Wait returns it.
func (s *Sender) Send(slot vstack.Slot, ref vstack.ChunkRef, leaves vstack.LeafTable, data []byte) error {
	want := vstack.Value{Chunk: ref.ID, Size: ref.Size}
	if have, ok := s.chosen[slot]; ok {
		if have != want {
			return conflict(slot, have, want)
		}
		s.job.ChunkDone(slot.Track, len(data), false)
		s.cfg.Metrics.chunks.WithLabelValues("reused").Inc()
		return nil
	}
	weight, err := s.cfg.Window.Acquire(s.ctx, s.up.ID, int64(len(data)))
	if err != nil {
		return fmt.Errorf("send chunks: %w", err)
	}
	s.g.Go(func() error {
		defer s.cfg.Window.Release(s.up.ID, weight)
		err := s.commit(slot, want, leaves, data)
		if err != nil {
			s.fail(err)
		}
		return err
	})
	return nil
}

// Wait returns once no commit is on its way.
func (s *Sender) Wait() error { return s.g.Wait() }

// commit tries one chunk until it is chosen, for at most Timeout. Trying again
// with the same bytes under the same incarnation is the same proposal. What the cluster
// said last is the job's error meanwhile, and the attempt's in the end: that the time was
// up tells nobody what is missing.
func (s *Sender) commit(slot vstack.Slot, want vstack.Value, leaves vstack.LeafTable, data []byte) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	began := time.Now()
	var why error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		call, end := context.WithTimeout(ctx, min(maxCommit, s.cfg.Timeout))
		got, err := s.cfg.Chunks.CommitValue(call, s.up, slot, want, leaves, data)
		end()
		if err == nil && got.Value != want {
			err = conflict(slot, got.Value, want)
		}
		if err == nil {
			s.cfg.Metrics.committed(len(data), got.Sent, time.Since(began))
			s.job.ChunkDone(slot.Track, len(data), true)
			return nil
		}
		if !Transient(err) || s.ctx.Err() != nil {
			return fmt.Errorf("commit %s: %w", slot, err)
		}
		if why == nil || !errors.Is(err, context.DeadlineExceeded) {
			why = err
		}
		s.cfg.Metrics.chunks.WithLabelValues("retried").Inc()
		s.job.Held(why)
		select {
		case <-ctx.Done():
			return fmt.Errorf("commit %s: tried for %s: %w", slot, s.cfg.Timeout, why)
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

func conflict(slot vstack.Slot, have, want vstack.Value) error {
	return fmt.Errorf("slot %s holds chunk %s of %d bytes, this cut has %s of %d: %w: the file was cut differently before; upload it anew",
		slot, have.Chunk.Short(), have.Size, want.Chunk.Short(), want.Size, vstack.ErrSlotConflict)
}

// Transient says that the cluster may be able to do later what it cannot do now.
func Transient(err error) bool {
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
