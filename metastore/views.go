package metastore

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/duties"
	"github.com/vstack/vstack/metastore/views"
)

const maxViewsRequest = 1000 // of one request

func (s *Server) runViews(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.ViewsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fctx, cancel := context.WithTimeout(ctx, duties.ProposeTimeout)
			s.flushViews(fctx)
			cancel()
		}
	}
}

// flushViews commits what was counted; what fails is kept.
func (s *Server) flushViews(ctx context.Context) {
	err := s.views.Flush(s.catalog.View().Level(), func(batch wire.ViewsBatch, id string) error {
		if _, leads := s.node.Leading(); leads {
			_, err := s.proposals.Propose(ctx, command.AddViews, command.ViewsOf(batch), id, "")
			return err
		}
		return s.peers.Post(ctx, "/v1/views", id, batch)
	})
	if err != nil {
		s.cfg.Logger.Debug("count views", "err", err)
	}
}

// addViews counts; a reader needs no certificate for it, and counts once an hour.
func (s *Server) addViews(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	var req wire.ViewsRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	by := callerOf(c)
	many := by.Roles.Has(vstack.RoleGateway | vstack.RoleAdmin)
	if req.Count > 1 && !many {
		return fmt.Errorf("count %d: %w: one view a request, but for gateways and administrators", req.Count, vstack.ErrForbidden)
	}
	if req.Count < 1 || req.Count > maxViewsRequest {
		return fmt.Errorf("count %d: %w: want 1 to %d", req.Count, vstack.ErrInvalid, maxViewsRequest)
	}
	view := s.catalog.View()
	hidden := s.hidden(c, view, id, "")
	if v, err := view.Video(id); cmp.Or(err, hidden) != nil {
		return cmp.Or(err, hidden)
	} else if v.State != vstack.VideoPublished {
		return fmt.Errorf("count views of video %s: %w: it is %s", id, vstack.ErrNotFound, v.State)
	}
	if !many {
		// The leader's memory of the hour is all members'; where nobody leads, this one's has to do.
		if _, leads := s.node.Leading(); !leads && c.Request().Header.Get(wire.HeaderForwarded) == "" && s.peers.Led() {
			return s.peers.ForwardJSON(c.Response(), c.Request(), by, req)
		}
		if by.Key != "" && !s.hour.First(by.Key, id, time.Now()) {
			return c.NoContent(http.StatusAccepted)
		}
	}
	if err := s.views.Add(id, req.Count, c.Request().Header.Get(wire.HeaderRequestID)); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// commitViews takes a member's batch, on the leader.
func (s *Server) commitViews(c echo.Context) error {
	var req wire.ViewsBatch
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if len(req.Views) > views.MaxVideos {
		return fmt.Errorf("views of %d videos: %w: at most %d", len(req.Views), vstack.ErrTooLarge, views.MaxVideos)
	}
	if level := s.catalog.View().Level(); req.Source.Seq > 0 && level < vstack.LevelFormats {
		return fmt.Errorf("numbered views: %w: the catalog here is at feature level %d", vstack.ErrUnavailable, level)
	}
	if _, err := s.commit(c, command.AddViews, command.ViewsOf(req)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
