package metastore

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/duties"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/status"
)

// apiOf is where a member serves, as the configuration of Raft says.
func (s *Server) apiOf(id string) (string, bool) {
	m, ok := s.node.Member(id)
	return m.API, ok
}

// hosts are the ids of the members' hosts.
func (s *Server) hosts() (ids []string) {
	for _, m := range s.node.Members() {
		ids = append(ids, m.ID)
	}
	return ids
}

func (s *Server) listMembers(c echo.Context) error { return answers.JSON(c, s.members.List()) }

func (s *Server) raftStatus(c echo.Context) error {
	st, err := s.members.Status(c.Request().Context())
	if err != nil {
		return err
	}
	return answers.JSON(c, st)
}

// checkStanding refuses requests to a process that is of no cluster: what it has is
// nothing, or the state of the day when it was removed.
func (s *Server) checkStanding(r route) error {
	is, detail := s.node.Standing()
	switch {
	case is == raftnode.Belongs || strings.HasPrefix(r.Path, "/v1/raft/"):
		return nil
	case is == raftnode.Forming:
		return fmt.Errorf("member %s: %w: %s", s.cfg.ID, vstack.ErrNoLeader, detail)
	default:
		return fmt.Errorf("member %s: %w: %s", s.cfg.ID, vstack.ErrUnavailable, detail)
	}
}

func (s *Server) addPeer(c echo.Context) error {
	var req wire.AddPeerRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	id, err := vstack.ParseHostID(c.Param("id"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), duties.ProposeTimeout)
	defer cancel()
	p, err := s.members.Add(ctx, id, req)
	if err != nil {
		return err
	}
	return answers.JSONAs(c, http.StatusAccepted, p)
}

// removePeer takes a member out. A leader that is to go hands over first, and its
// successor removes it.
func (s *Server) removePeer(c echo.Context) error {
	id, err := vstack.ParseHostID(c.Param("id"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), duties.ProposeTimeout)
	defer cancel()
	if err := s.members.MayRemove(ctx, id, c.QueryParam("force") == "true"); err != nil {
		return err
	}
	if string(id) == s.cfg.ID {
		return s.handOver(c)
	}
	if err := s.members.Remove(ctx, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// handOver gives up leadership and has the successor remove this member.
func (s *Server) handOver(c echo.Context) error {
	if err := s.node.Transfer(""); err != nil {
		return err
	}
	return s.peers.Forward(c.Response(), c.Request(), callerOf(c))
}

// status is how this member is.
func (s *Server) status() status.Member {
	me, _ := s.cfg.peer(s.cfg.ID)
	return status.Member{ID: s.cfg.ID, Raft: me.Raft, API: me.API, Node: s.node, Catalog: s.catalog,
		Losses: func() int { return len(s.epochs.Losses()) }, Closed: func() bool { return s.ctx.Err() != nil }}
}

func (s *Server) raftSelf(c echo.Context) error {
	p, err := s.status().Self()
	if err != nil {
		return err
	}
	return answers.JSON(c, p)
}

func (s *Server) transfer(c echo.Context) error {
	var req wire.TransferRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if err := s.node.Transfer(req.To); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
