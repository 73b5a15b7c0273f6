package strangers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// goodFor is how long an answer counts about which jobs strangers may know of, and
	// patience bounds the questions behind one.
	goodFor  = 2 * time.Second
	patience = 2 * time.Second
)

// Catalog is what knows who may know of a video; *metaclient.Client is one.
type Catalog interface {
	Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error)
}

// Filter lets strangers know of jobs of videos that are listed. The zero Filter is ready. The
// catalog is asked once for all who ask here at the same time.
type Filter struct {
	asking singleflight.Group

	mu    sync.Mutex
	at    time.Time
	known []vstack.VideoID
}

// Jobs leaves out those of which strangers learn nothing; each job is told to who has its id.
func (s *Filter) Jobs(ctx context.Context, catalog Catalog, all []wire.Job) ([]wire.Job, error) {
	s.mu.Lock()
	known, fresh := s.known, time.Since(s.at) < goodFor
	s.mu.Unlock()
	if !fresh {
		got, err, _ := s.asking.Do("", func() (any, error) { return s.ask(ctx, catalog, all) })
		if err != nil {
			return nil, err
		}
		known = got.([]vstack.VideoID)
	}
	return slices.DeleteFunc(all, func(j wire.Job) bool { return !slices.Contains(known, j.Video) }), nil
}

func (s *Filter) ask(ctx context.Context, catalog Catalog, all []wire.Job) (known []vstack.VideoID, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // others wait, too
	defer cancel()
	asked := time.Now()
	for _, j := range all {
		v, err := catalog.Video(ctx, j.Video)
		switch {
		case err == nil && v.Access.Listed():
			known = append(known, j.Video)
		case err != nil && !errors.Is(err, vstack.ErrNotFound):
			return nil, fmt.Errorf("which jobs are public: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.known = asked, known
	return known, nil
}
