package metastore

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

const (
	maxViewsRequest = 1000  // of one request
	maxViewedVideos = 10000 // counted between two flushes; and so of one batch
	maxViewRequests = 16384 // ids that a member remembers
)

// views counts on the member that was asked; batches go to the leader.
type views struct {
	mu     sync.Mutex
	counts map[vstack.VideoID]int64
	// counted are the last requests that were taken, recent their order: a client whose
	// answer was lost asks the same member again.
	counted map[string]bool
	recent  []string
	oldest  int

	flushMu sync.Mutex // one flush at a time
	// pending is the batch that was not confirmed yet. It is sent again under its
	// request id until it is, so that it counts once.
	pending   []wire.VideoViews
	requestID string
}

func newViews() *views {
	return &views{counts: map[vstack.VideoID]int64{}, counted: map[string]bool{}}
}

// add counts, once under one request id; an empty id is always counted.
func (v *views) add(id vstack.VideoID, n int64, request string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.counted[request] {
		return nil
	}
	if _, ok := v.counts[id]; !ok && len(v.counts) >= maxViewedVideos {
		return fmt.Errorf("count views: %w: %d videos wait to be committed", vstack.ErrUnavailable, len(v.counts))
	}
	v.counts[id] = min(v.counts[id]+n, catalog.MaxViews)
	if request != "" {
		v.remember(request)
	}
	return nil
}

// remember keeps a request id in the place of the oldest.
func (v *views) remember(request string) {
	v.counted[request] = true
	if len(v.recent) < maxViewRequests {
		v.recent = append(v.recent, request)
		return
	}
	delete(v.counted, v.recent[v.oldest])
	v.recent[v.oldest] = request
	v.oldest = (v.oldest + 1) % maxViewRequests
}

// batch is the pending batch, or a new one of all that was counted.
func (v *views) batch() ([]wire.VideoViews, string) {
	if v.pending != nil {
		return v.pending, v.requestID
	}
	v.mu.Lock()
	counts := v.counts
	v.counts = map[vstack.VideoID]int64{}
	v.mu.Unlock()
	for id, n := range counts {
		v.pending = append(v.pending, wire.VideoViews{Video: id, Count: n})
	}
	slices.SortFunc(v.pending, func(a, b wire.VideoViews) int { return bytes.Compare(a.Video[:], b.Video[:]) })
	v.requestID = uuid.NewString()
	return v.pending, v.requestID
}

func (s *Server) runViews(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.ViewsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fctx, cancel := context.WithTimeout(ctx, proposeTimeout)
			s.flushViews(fctx)
			cancel()
		}
	}
}

// flushViews commits what was counted; what fails is kept.
func (s *Server) flushViews(ctx context.Context) {
	s.views.flushMu.Lock()
	defer s.views.flushMu.Unlock()
	batch, id := s.views.batch()
	if len(batch) == 0 {
		return
	}
	var err error
	if _, leads := s.node.Leading(); leads {
		_, err = s.propose(ctx, catalog.AddViews, viewsPayload(batch), id)
	} else {
		err = s.sendViews(ctx, batch, id)
	}
	if err != nil {
		s.cfg.Logger.Debug("views wait", "videos", len(batch), "err", err)
		return
	}
	s.views.pending = nil
}

func viewsPayload(batch []wire.VideoViews) catalog.AddViewsPayload {
	p := catalog.AddViewsPayload{Views: make([]catalog.VideoViews, len(batch))}
	for i, v := range batch {
		p.Views[i] = catalog.VideoViews(v)
	}
	return p
}

// sendViews gives a batch to the leader.
func (s *Server) sendViews(ctx context.Context, batch []wire.VideoViews, id string) error {
	return s.peers.Post(ctx, "/v1/views", id, wire.ViewsBatch{Views: batch})
}

// addViews counts; a reader needs no certificate for it.
func (s *Server) addViews(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	var req wire.ViewsRequest
	if err := decode(c, &req, false); err != nil {
		return err
	}
	if req.Count < 1 || req.Count > maxViewsRequest {
		return fmt.Errorf("count %d: %w: want 1 to %d", req.Count, vstack.ErrInvalid, maxViewsRequest)
	}
	if v, err := s.catalog.View().Video(id); err != nil {
		return err
	} else if v.State != vstack.VideoPublished {
		return fmt.Errorf("count views of video %s: %w: it is %s", id, vstack.ErrNotFound, v.State)
	}
	if err := s.views.add(id, req.Count, c.Request().Header.Get(wire.HeaderRequestID)); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// commitViews takes a member's batch, on the leader.
func (s *Server) commitViews(c echo.Context) error {
	var req wire.ViewsBatch
	if err := decode(c, &req, false); err != nil {
		return err
	}
	if len(req.Views) > maxViewedVideos {
		return fmt.Errorf("views of %d videos: %w: at most %d", len(req.Views), vstack.ErrTooLarge, maxViewedVideos)
	}
	if _, err := s.commit(c, catalog.AddViews, viewsPayload(req.Views)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
