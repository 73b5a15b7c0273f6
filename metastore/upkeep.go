package metastore

import (
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/held"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
	"github.com/vstack/vstack/metastore/upkeep"
)

// standing is the placement with all that this leader heard of it.
func (s *Server) standing() (reconfigure.State, raftnode.Leadership, error) {
	view := s.catalog.View()
	state := placed.Of(view)
	l, leads := s.node.Leading()
	if !leads {
		return state, l, vstack.ErrNoLeader
	}
	state.Silent, state.Claims, state.Published, state.Fragmented = s.duty.Silent(l, state.Map), s.monitor.Claims(), view.PublishedGroups(), view.Fragmented()
	return state, l, nil
}

// orderStores takes an operator's order, unless it could not end.
func (s *Server) orderStores(c echo.Context) error {
	var req wire.OrderRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	state, _, err := s.standing()
	if err != nil {
		return err
	}
	var reply wire.OrderReply
	switch req.Order {
	case vstack.OrderDrain:
		reply.Roles, err = upkeep.Drain(state, req.Stores)
	case vstack.OrderRemove:
		err = upkeep.Remove(state, req.Stores, req.Force)
	}
	if err != nil {
		return err
	}
	res, err := s.commit(c, command.OrderStores, command.OrderStoresPayload{Stores: req.Stores, Order: req.Order})
	if err != nil {
		return err
	}
	s.cfg.Logger.Info("order for stores", "order", req.Order, "stores", req.Stores, "roles", reply.Roles)
	reply.Index = res.Index
	return answers.JSON(c, reply)
}

func (s *Server) listOrders(c echo.Context) error {
	state, _, err := s.standing()
	if err != nil {
		return err
	}
	orders, err := upkeep.Orders(state)
	if err != nil {
		return err
	}
	return answers.JSON(c, wire.List[wire.StandingOrder]{Items: orders})
}

func (s *Server) listHeld(c echo.Context) error {
	return answers.JSON(c, held.List(s.epochs.Losses(), s.catalog.View().Placement()))
}

// acceptLoss takes an operator's word that votes are gone for good.
func (s *Server) acceptLoss(c echo.Context) error {
	var req wire.AcceptLossRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	p, err := held.Accept(s.epochs.Losses(), req)
	if err != nil {
		return err
	}
	res, err := s.commit(c, command.AcceptLoss, p)
	if err != nil {
		return err
	}
	s.cfg.Logger.Warn("votes of groups are given up", "groups", req.Groups)
	return answers.JSON(c, held.Reply(p, res.Index))
}

// okToStop answers whether a host may be stopped: what it stores, and its vote in Raft.
func (s *Server) okToStop(c echo.Context) error {
	host, err := vstack.ParseHostID(c.Param("id"))
	if err != nil {
		return err
	}
	state, l, err := s.standing()
	if err != nil {
		return err
	}
	out := wire.OKToStop{Host: host}
	if state.Map.Ready() {
		out.Reasons = upkeep.OKToStop(state, host, s.classes.Without(l, s.catalog.View(), host))
	}
	if m, member := s.node.Member(string(host)); member && m.Voter {
		st, err := s.members.Status(c.Request().Context())
		if err != nil {
			return err
		}
		if st.CanFail < 1 {
			out.Reasons = append(out.Reasons, fmt.Sprintf("of the members that vote on metadata %d can be lost now: there would be no leader", st.CanFail))
		}
	}
	out.OK = len(out.Reasons) == 0
	return answers.JSON(c, out)
}

func (s *Server) getBalance(c echo.Context) error {
	state, _, err := s.standing()
	if err != nil {
		return err
	}
	view, used := s.catalog.View(), map[vstack.StoreID]int64{}
	for _, n := range s.monitor.Nodes(view.Stores(), time.Now()) {
		for _, st := range n.Stores {
			if st.Report != nil {
				used[st.ID] = st.Report.Used
			}
		}
	}
	report, err := upkeep.Balance(state, view.Balance(), used)
	if err != nil {
		return err
	}
	_, report.Paused = view.Redundancy()
	return answers.JSON(c, report)
}

func (s *Server) setBalance(c echo.Context) error {
	var req wire.BalanceRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	if _, err := s.commit(c, command.SetBalance, command.SetBalancePayload{To: req.State}); err != nil {
		return err
	}
	return s.getBalance(c)
}

// listEvents answers what the catalog remembers.
func (s *Server) listEvents(c echo.Context) error {
	_, limit, err := asked.Page(c.QueryParams())
	if err != nil {
		return err
	}
	since, err := asked.Number(c.QueryParams(), "since")
	if err != nil {
		return fmt.Errorf("parameter since: %w: %v", vstack.ErrInvalid, err)
	}
	if err := s.catchUp(c); err != nil {
		return err
	}
	items, next, more := s.catalog.View().Events(since, limit)
	if items == nil {
		items = []vstack.Event{}
	}
	return answers.JSON(c, wire.EventPage{Items: items, Next: next, More: more})
}
