package load

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
)

// Env is what the loads work on. All fields are required.
type Env struct {
	*report.Recorder
	Cluster *cluster.Cluster
	// Client is the configuration that Cluster was opened with.
	Client *config.Client
	// Members are HOST:PORT of the metastores' APIs.
	Members []string
	// Dir takes the files that are uploaded; it must not exist yet.
	Dir string
	// FFmpeg draws them.
	FFmpeg string
	// Patience is how long a member may take for a read: longer than any fault lasts.
	Patience time.Duration
	// Made takes note of what the loads make.
	Made *Made
}

// Set is the loads of a session.
type Set struct {
	Meta  *Meta  // nil without that load
	Media *Media // nil without upload and play

	loads []report.Load
	stop  context.CancelFunc
	group *errgroup.Group
}

// Open makes what the loads need in a healthy cluster. Start runs them.
func Open(ctx context.Context, env Env, loads []report.Load) (*Set, error) {
	s := &Set{loads: loads}
	var err error
	if s.has(report.LoadMeta) {
		if s.Meta, err = openMeta(ctx, env); err != nil {
			return nil, err
		}
	}
	if s.has(report.LoadUpload) || s.has(report.LoadPlay) {
		if s.Media, err = openMedia(ctx, env, s.has(report.LoadPlay)); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Set) has(l report.Load) bool { return slices.Contains(s.loads, l) }

// Start runs the loads until Stop.
func (s *Set) Start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.group = &errgroup.Group{} // one load's error does not end the others: it is told at the end
	if s.Meta != nil {
		s.group.Go(func() error { return s.Meta.write(ctx) })
		s.group.Go(func() error { return s.Meta.review(ctx) })
		for i := range s.Meta.env.Members {
			s.group.Go(func() error { return s.Meta.read(ctx, i) })
		}
		for i := range rivals {
			s.group.Go(func() error { return s.Meta.rival(ctx, i) })
		}
	}
	if s.has(report.LoadUpload) {
		s.Media.turn = make(chan struct{})
		s.group.Go(func() error { return s.Media.upload(ctx) })
	}
	if s.has(report.LoadPlay) {
		for i := range players {
			s.group.Go(func() error { return s.Media.play(ctx, i+1) })
		}
	}
}

// Close ends the loads, waits for them, and has what they saw checked to the end.
func (s *Set) Close() error {
	var err error
	if s.group != nil {
		s.stop()
		err = s.group.Wait()
	}
	if s.Meta != nil {
		s.Meta.close()
	}
	return err
}

// UnderWay is closed when the upload that is under way now has ended, one way or the
// other; nil without one.
func (s *Set) UnderWay() <-chan struct{} {
	if s.Media == nil {
		return nil
	}
	return s.Media.underWay()
}

// Await waits for what UnderWay returned.
func Await(ctx context.Context, upload <-chan struct{}) error {
	if upload == nil {
		return nil
	}
	select {
	case <-upload:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
