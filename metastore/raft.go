package metastore

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

// statusTimeout bounds asking the other members.
const statusTimeout = time.Second

// self is this member as it sees itself.
func (s *Server) self() (wire.RaftPeer, error) {
	st := s.node.Status()
	view := s.catalog.View()
	sum, err := view.Checksum()
	if err != nil {
		return wire.RaftPeer{}, err
	}
	me, _ := s.cfg.peer(s.cfg.ID)
	p := wire.RaftPeer{
		ID: s.cfg.ID, Raft: me.Raft, API: me.API, Reached: true, State: st.State, Term: st.Term,
		LastIndex: st.LastIndex, Commit: st.Commit, Applied: view.Applied(), Checksum: sum,
		LastContact: max(0, st.LastContact.Seconds()), Leader: st.State == "leader",
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

// raftStatus asks every member for its own state.
func (s *Server) raftStatus(c echo.Context) error {
	me, err := s.self()
	if err != nil {
		return err
	}
	out := wire.RaftStatus{Node: s.cfg.ID, Leader: s.node.Leader(), Term: me.Term, Applied: me.Applied, Checksum: me.Checksum}
	members := s.node.Status().Members
	out.Peers = make([]wire.RaftPeer, len(members))
	ctx, cancel := context.WithTimeout(c.Request().Context(), statusTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i, m := range members {
		api, _ := s.cfg.peer(m.ID)
		out.Peers[i] = wire.RaftPeer{ID: m.ID, Raft: m.Addr, API: api.API}
		if m.ID == s.cfg.ID {
			out.Peers[i] = me
		} else {
			wg.Go(func() {
				var p wire.RaftPeer
				if err := s.ask(ctx, m.ID, "/v1/raft/self", &p); err == nil && p.ID == m.ID {
					out.Peers[i] = p
				}
			})
		}
	}
	wg.Wait()
	voters, reached := 0, 0
	for i, m := range members {
		p := &out.Peers[i]
		p.Voter, p.Leader = m.Voter, m.ID == out.Leader
		if m.Voter {
			voters++
			if p.Reached {
				reached++
			}
		}
	}
	out.CanFail = max(0, reached-(voters/2+1))
	return answer(c, out)
}

func (s *Server) transfer(c echo.Context) error {
	var req wire.TransferRequest
	if err := decode(c, &req, false); err != nil {
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
	switch _, leads := s.node.Leading(); {
	case leads:
		raft.Detail = fmt.Sprintf("leader of term %d", st.Term)
	case s.node.Leader() == "" || st.State != "follower":
		raft.Err = fmt.Errorf("%w: %s in term %d", vstack.ErrNoLeader, st.State, st.Term)
	default:
		raft.Detail = fmt.Sprintf("follows %s in term %d", s.node.Leader(), st.Term)
	}
	placement := ops.Check{Name: "placement", Detail: "assigned"}
	view := s.catalog.View()
	if !view.Placement().Ready() {
		// Not an error: the catalog serves, and uploads are told NOT_READY.
		placement.Detail = fmt.Sprintf("waits for stores: %d have registered", len(view.Stores()))
	}
	return []ops.Check{raft, s.catalogCheck(view), placement}
}

func (s *Server) catalogCheck(view *catalog.View) ops.Check {
	c := ops.Check{Name: "catalog", Detail: fmt.Sprintf("applied index %d", view.Applied())}
	if s.ctx.Err() != nil {
		c.Err = vstack.ErrClosed
	}
	return c
}
