package converge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// scrubbing is a disk whose scrub takes a minute.
type scrubbing struct{ Disk }

func (scrubbing) Scrub(ctx context.Context, _ int64, _ func(vstack.ChunkID, vstack.Piece, error)) (superblock.ScrubReport, error) {
	select {
	case <-time.After(time.Minute):
		return superblock.ScrubReport{Chunks: 3}, nil
	case <-ctx.Done():
		return superblock.ScrubReport{}, ctx.Err()
	}
}

// TestAScrubIsDueFromTheLastPassOfAnyProcess: a host that restarts every day scrubs as often
// as one that never does.
func TestAScrubIsDueFromTheLastPassOfAnyProcess(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name string
		ago  time.Duration // the end of the last pass, before this process; 0: none
		want time.Duration // until the next begins
	}{
		{"never scrubbed", 0, 7 * day},
		{"six days ago", 6 * day, day},
		{"long due", 30 * day, scrubWait},
		{"a clock that was ahead", -day, 7 * day},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := loop(t, nil, nil)
				l.cfg.Disk = scrubbing{l.cfg.Disk}
				began := time.Now()
				if c.ago != 0 {
					l.scrub.Passed = began.Add(-c.ago)
				}
				kept := make(chan wire.ScrubStatus, 4)
				l.cfg.KeepScrub = func(s wire.ScrubStatus) error { kept <- s; return nil }
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- l.RunScrub(ctx) }()
				first, second := <-kept, <-kept
				if got := first.Passed.Sub(began); got != c.want+time.Minute || first.Chunks != 3 || first.Running {
					t.Errorf("the first pass ended after %v, want %v: %+v", got, c.want+time.Minute, first)
				}
				if got := second.Passed.Sub(first.Passed); got != 7*day+time.Minute {
					t.Errorf("the second ended %v after the first", got)
				}
				// What is cut short is not a pass.
				if err := l.Scrub(0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second) // of the bubble's clock: into the pass
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if s := l.ScrubStatus(); !s.Passed.Equal(second.Passed) || s.Error == "" || len(kept) != 0 {
					t.Errorf("a pass that was cut short counts: %+v", s)
				}
			})
		})
	}
}
