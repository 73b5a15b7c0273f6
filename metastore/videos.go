package metastore

import (
	"fmt"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/placement"
)

func (s *Server) listVideos(c echo.Context) error {
	before, limit, err := page(c)
	if err != nil {
		return err
	}
	state := vstack.VideoState(c.QueryParam("state"))
	switch state {
	case "", vstack.VideoUploading, vstack.VideoPublished, vstack.VideoFailed, vstack.VideoDeleted:
	default:
		return fmt.Errorf("parameter state=%.40q: %w: want uploading, published, failed or deleted", state, vstack.ErrInvalid)
	}
	items, next := s.catalog.View().Videos(state, before, limit)
	if items == nil {
		items = []vstack.Video{}
	}
	return answer(c, wire.List[vstack.Video]{Items: items, Next: cursor(next)})
}

func (s *Server) getVideo(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	v, err := s.catalog.View().Video(id)
	if err != nil {
		return err
	}
	return answer(c, v)
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
			return s.peers.Forward(c.Response(), c.Request())
		}
	} else if err := s.catchUp(c); err != nil {
		return err
	}
	m, digest, err := s.catalog.View().Manifest(id)
	if err != nil {
		if _, leads := s.node.Leading(); !leads && c.QueryParam("consistency") == "" && c.Request().Header.Get(wire.HeaderForwarded) == "" {
			if _, none := s.peers.LeaderAPI(); none == nil {
				return s.peers.Forward(c.Response(), c.Request())
			}
		}
		return err
	}
	if done, err := notModified(c, `"`+digest.String()+`"`); done {
		return err
	}
	return answer(c, m)
}

func (s *Server) getVideoPlacement(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	view := s.catalog.View()
	video, err := view.Video(id)
	if err != nil {
		return err
	}
	manifest, _, err := view.Manifest(id)
	if err != nil {
		return err
	}
	current := view.Placement()
	if !current.Ready() {
		return fmt.Errorf("placement of video %s: %w", id, vstack.ErrNotReady)
	}
	out := wire.VideoPlacement{Video: id, HostsCanFail: vstack.Targets, StoresCanFail: vstack.Targets, Slots: []wire.SlotPlacement{}}
	judged := map[vstack.PG]bool{}
	for slot, ref := range manifest.Slots {
		g, _ := current.Group(slot)
		holders, _ := placement.Holders(g, video.Class)
		out.Slots = append(out.Slots, wire.SlotPlacement{Slot: slot, Chunk: ref, PG: slot.PG(), Epoch: g.Epoch, Holders: holders})
		if !judged[slot.PG()] {
			judged[slot.PG()] = true
			hosts, stores := placement.Tolerance(g, video.Class, current)
			out.HostsCanFail, out.StoresCanFail = min(out.HostsCanFail, hosts), min(out.StoresCanFail, stores)
		}
	}
	return answer(c, out)
}

func (s *Server) patchVideo(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	var req wire.VideoPatch
	if err := decode(c, &req, false); err != nil {
		return err
	}
	if req.Title != nil {
		if err := catalog.CheckTitle(*req.Title); err != nil {
			return err
		}
	}
	return s.answerVideo(c, catalog.PatchVideo, catalog.PatchVideoPayload{Video: id, Title: req.Title})
}

func (s *Server) deleteVideo(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	return s.answerVideo(c, catalog.DeleteVideo, catalog.DeleteVideoPayload{Video: id})
}

func (s *Server) setClass(c echo.Context) error {
	id, err := videoID(c)
	if err != nil {
		return err
	}
	var req wire.ClassRequest
	if err := decode(c, &req, false); err != nil {
		return err
	}
	if err := catalog.CheckPolicy(req.Policy); err != nil {
		return err
	}
	return s.answerVideo(c, catalog.SetPolicy, catalog.SetPolicyPayload{Video: id, Policy: req.Policy})
}

func (s *Server) answerVideo(c echo.Context, t catalog.Type, payload any) error {
	res, err := s.commit(c, t, payload)
	if err != nil {
		return err
	}
	return answer(c, res.Video)
}
