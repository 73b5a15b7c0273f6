package metastore

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// self is this member as it sees itself.
func (s *Server) self() (wire.RaftPeer, error) {
	st := s.node.Status()
	view := s.catalog.View()
	sum, err := view.Checksum()
	if err != nil {
		return wire.RaftPeer{}, err
	}
	me, _ := s.cfg.peer(s.cfg.ID)
	standing, detail := s.node.Standing()
	p := wire.RaftPeer{
		ID: s.cfg.ID, Instance: s.node.Instance(), Raft: me.Raft, API: me.API, Reached: true, State: st.State, Term: st.Term,
		Standing: string(standing), Detail: detail, Cluster: s.node.Genesis(), DiskWrite: st.DiskWrite.Seconds(),
		DiskSlow: st.Disk.Slow, DiskStalls: st.Disk.Stalls, DiskWrites: st.Disk.Writes,
		LastIndex: st.LastIndex, Commit: st.Commit, Applied: view.Applied(), Checksum: sum,
		LastContact: max(0, st.LastContact.Seconds()), Leader: st.State == "leader",
		Follows: s.node.Leader(), Level: vstack.NewestLevel, Held: len(s.epochs.Losses()),
	}
	for _, m := range st.Members {
		p.Voter = p.Voter || (m.ID == s.cfg.ID && m.Voter)
	}
	return p, nil
}

func (s *Server) raftSelf(c echo.Context) error {
	p, err := s.self()
	if err != nil {
		return err
	}
	return answer(c, p)
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

// ready makes the checks of /readyz.
func (s *Server) ready(context.Context) []ops.Check {
	raft := ops.Check{Name: "raft"}
	st := s.node.Status()
	standing, detail := s.node.Standing()
	switch _, leads := s.node.Leading(); {
	case standing != raftnode.Belongs:
		raft.Err = fmt.Errorf("%w: %s: %s", vstack.ErrNoLeader, standing, detail)
	case leads:
		raft.Detail = fmt.Sprintf("leader of term %d", st.Term)
	case s.node.Leader() == "" || st.State != "follower":
		raft.Err = fmt.Errorf("%w: %s in term %d", vstack.ErrNoLeader, st.State, st.Term)
	default:
		raft.Detail = fmt.Sprintf("follows %s in term %d", s.node.Leader(), st.Term)
	}
	voters := 0
	for _, m := range st.Members {
		if m.Voter {
			voters++
		}
	}
	members := ops.Check{Name: "members", Detail: fmt.Sprintf("%d vote, %d join; cluster %s", voters, len(st.Members)-voters, s.node.Genesis())}
	raftDisk := ops.Check{Name: "raft disk", Detail: fmt.Sprintf("last write took %s, the longest %s; writes above %s took %.0f %% of the last %s",
		st.DiskWrite.Round(10*time.Microsecond), st.DiskWorst.Round(10*time.Microsecond), disk.SlowWrite, 100*st.Disk.Slow, disk.Window)}
	view := s.catalog.View()
	return []ops.Check{raft, members, raftDisk, s.catalogCheck(view), {Name: "placement", Detail: placed.Placement(view)}}
}

func (s *Server) catalogCheck(view *catalog.View) ops.Check {
	c := ops.Check{Name: "catalog", Detail: fmt.Sprintf("applied index %d", view.Applied())}
	if s.ctx.Err() != nil {
		c.Err = vstack.ErrClosed
	}
	return c
}
