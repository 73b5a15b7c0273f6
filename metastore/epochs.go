package metastore

import (
	"fmt"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/forward"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// replaceStore takes an operator's order.
func (s *Server) replaceStore(c echo.Context) error {
	id, err := vstack.ParseStoreID(c.Param("id"))
	if err != nil {
		return err
	}
	var req wire.ReplaceStoreRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	view := s.catalog.View()
	if _, ok := view.Store(id); !ok {
		return fmt.Errorf("replace store %s: %w", id, vstack.ErrNotFound)
	}
	if !req.With.IsZero() {
		if with, ok := view.Store(req.With); !ok || with.State != vstack.StoreUp {
			return fmt.Errorf("replace store %s: %w: store %s is unknown or not up", id, vstack.ErrInvalid, req.With)
		}
	}
	state := placed.Of(view)
	if !state.Map.Ready() {
		return fmt.Errorf("replace store %s: %w", id, vstack.ErrNotReady)
	}
	roles, groups, err := reconfigure.Movable(state, req.With, id)
	if err != nil {
		return err
	}
	if roles > 0 && groups == 0 {
		return fmt.Errorf("replace store %s: %w: no other store can take any of its %d roles", id, vstack.ErrNotReady, roles)
	}
	res, err := s.commit(c, command.SetLeaving, command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: id, Why: vstack.LeaveOrdered, With: req.With}}})
	if err != nil {
		return err
	}
	s.cfg.Logger.Info("store is to be replaced", "store", id, "with", req.With, "roles", roles, "movable", groups)
	return answers.JSON(c, wire.ReplaceStoreReply{Groups: groups, Index: res.Index})
}

// hasStore reports whether the caller's host has a store in this cluster, and so may speak
// for acceptors. Members may without.
func (s *Server) hasStore(by forward.Caller) error {
	if _, member := s.node.Member(by.ID); member {
		return nil
	}
	for _, st := range s.catalog.View().Stores() {
		if by.Speaks(st.Host) {
			return nil
		}
	}
	return fmt.Errorf("%w: %q has no store in this cluster", vstack.ErrForbidden, by.ID)
}

// activateEpochs takes a driver's word that a majority of the new acceptors of each
// group has the attempt's install durably.
func (s *Server) activateEpochs(c echo.Context) error {
	if err := s.hasStore(callerOf(c)); err != nil {
		return err
	}
	var req wire.ActivateRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	p := command.ActivateEpochsPayload{Changes: req.Changes}
	if err := command.CheckActivation(p); err != nil {
		return err
	}
	res, err := s.commit(c, command.ActivateEpochs, p)
	if err != nil {
		return err
	}
	reply := wire.ActivateReply{Index: res.Index, Activated: res.Activated, Refused: res.Refused}
	if reply.Activated == nil {
		reply.Activated = []wire.EpochChange{}
	}
	return answers.JSON(c, reply)
}
