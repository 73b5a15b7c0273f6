package metastore

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/params"
	"github.com/vstack/vstack/metastore/redundancy"
	"github.com/vstack/vstack/metastore/watching"
)

func redundancyRoutes() []route {
	policy := []wire.Param{
		{Name: "scheme", In: "query", Doc: "K+M of cold videos; this and what follows is by default as the policy in force says"},
		{Name: "min_hosts_can_fail", In: "query", Doc: "hosts whose loss every group of a cold video must bear"},
		{Name: "warm_above", In: "query", Doc: "popularity above which videos warm"},
		{Name: "cool_below", In: "query", Doc: "popularity below which videos cool"},
		{Name: "min_age", In: "query", Doc: "seconds after its publish before a video cools"},
	}
	return []route{
		get("/v1/redundancy", "Say how videos lie, where they go, and what may fail", leader, wire.HeedsListing, nil, wire.Redundancy{}, params.ReadErrors(), (*Server).getRedundancy),
		get("/v1/redundancy/plan", "Say what a policy would have done now, and what that takes", leader, wire.HeedsNothing, policy, wire.RedundancyPlan{}, params.ReadErrors(vstack.ErrNotReady), (*Server).planRedundancy),
		write(http.MethodPut, "/v1/redundancy", "Set the policy of redundancy; pause and resume videos' moves", smallBody, wire.RedundancyRequest{}, wire.Redundancy{},
			params.WriteErrors(vstack.ErrTooFewTargets), (*Server).setRedundancy),
	}
}

func (s *Server) getRedundancy(c echo.Context) error {
	l, leads := s.node.Leading()
	if !leads {
		return fmt.Errorf("redundancy: %w", vstack.ErrNoLeader)
	}
	view := s.catalog.View()
	out := s.classes.Status(l, view)
	out.Waiting = watching.Waiting(view, callerOf(c), out.Waiting)
	return answers.JSON(c, out)
}

// setRedundancy refuses a policy that the cluster as it is placed cannot keep.
func (s *Server) setRedundancy(c echo.Context) error {
	var req wire.RedundancyRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	view := s.catalog.View()
	if req.Policy != nil {
		now, _ := view.Redundancy()
		if err := redundancy.CheckPolicy(view.Placement(), view.Level(), now, *req.Policy); err != nil {
			return err
		}
	}
	if _, err := s.commit(c, command.SetRedundancy, command.SetRedundancyPayload(req)); err != nil {
		return err
	}
	return s.getRedundancy(c)
}

func (s *Server) planRedundancy(c echo.Context) error {
	view := s.catalog.View()
	now, _ := view.Redundancy()
	policy, err := redundancy.Over(now, c.QueryParams())
	if err != nil {
		return err
	}
	plan, err := s.classes.Plan(view, policy)
	if err != nil {
		return err
	}
	return answers.JSON(c, plan)
}
