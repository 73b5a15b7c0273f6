package metastore

import (
	"cmp"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/watching"
)

func (s *Server) listVideos(c echo.Context) error {
	before, limit, err := asked.Page(c.QueryParams())
	if err != nil {
		return err
	}
	state, err := asked.State(c.QueryParams(), vstack.VideoUploading, vstack.VideoPublished, vstack.VideoFailed, vstack.VideoDeleted)
	if err != nil {
		return err
	}
	items, next := s.catalog.View().Videos(state, before, limit)
	if items == nil {
		items = []vstack.Video{}
	}
	return answers.JSON(c, wire.List[vstack.Video]{Items: watching.Listed(callerOf(c), items), Next: asked.Cursor(next)})
}

func (s *Server) getVideo(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	view := s.catalog.View()
	hidden := s.hidden(c, view, id, "")
	v, err := view.Video(id)
	if err := cmp.Or(err, hidden); err != nil {
		return err
	}
	return answers.JSON(c, v)
}

// getManifest answers from any member, because a manifest never changes; one that this
// member does not have yet is asked of the leader.
func (s *Server) getManifest(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	if c.QueryParam("consistency") != "" {
		local, err := s.isLocal(c, readable)
		if err != nil {
			return err
		}
		if !local {
			return s.peers.Forward(c.Response(), c.Request(), callerOf(c))
		}
	} else if err := s.catchUp(c); err != nil {
		return err
	}
	view := s.catalog.View()
	hidden := s.hidden(c, view, id, "manifest of ")
	m, digest, err := view.Manifest(id)
	if err = cmp.Or(err, hidden); err != nil {
		if _, leads := s.node.Leading(); !leads && c.QueryParam("consistency") == "" && c.Request().Header.Get(wire.HeaderForwarded) == "" {
			if _, none := s.peers.LeaderAPI(); none == nil {
				return s.peers.Forward(c.Response(), c.Request(), callerOf(c))
			}
		}
		return err
	}
	if asked.Known(c.Response(), c.Request(), `"`+digest.String()+`"`) {
		return nil
	}
	return answers.Packed(c, m)
}

func (s *Server) patchVideo(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	var req wire.VideoPatch
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	p, err := watching.Patch(s.catalog.View(), id, req, time.Now())
	if err != nil {
		return err
	}
	return s.answerVideo(c, command.PatchVideo, p)
}

func (s *Server) deleteVideo(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	return s.answerVideo(c, command.DeleteVideo, command.DeleteVideoPayload{Video: id})
}

func (s *Server) answerVideo(c echo.Context, t command.Type, payload any) error {
	res, err := s.commit(c, t, payload)
	if err != nil {
		return err
	}
	return answers.JSON(c, res.Video)
}
