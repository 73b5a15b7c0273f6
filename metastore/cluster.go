package metastore

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/news"
)

func (s *Server) getPlacement(c echo.Context) error {
	if err := s.catchUp(c); err != nil {
		return err
	}
	view := s.catalog.View()
	if asked.Known(c.Response(), c.Request(), `"`+strconv.FormatUint(view.PlacementVersion(), 10)+`"`) {
		return nil
	}
	return answers.Packed(c, view.Placement())
}

// getFeed answers once something changed after since: by groups to who accepts that, with
// manifests to hosts of the first release.
func (s *Server) getFeed(c echo.Context) error {
	c.Response().Header().Set("Vary", "Accept")
	r := news.Reader{Catalog: s.catalog, Hold: s.cfg.FeedHold, Closed: s.ctx, Maps: &s.maps}
	if err := r.Level(c.Request().Header); err != nil {
		return err
	}
	if !strings.Contains(c.Request().Header.Get("Accept"), feed.ContentType) {
		page, applied, err := r.Manifests(c.Request().Context(), c.QueryParams())
		if err != nil {
			return err
		}
		s.sign(c, applied)
		return answers.JSON(c, page)
	}
	if err := s.catchUp(c); err != nil {
		return err
	}
	body, applied, err := r.ByGroups(c.Request().Context(), c.QueryParams())
	if err != nil {
		return err
	}
	s.sign(c, applied)
	return c.Blob(http.StatusOK, feed.ContentType, body)
}

func (s *Server) listNodes(c echo.Context) error {
	return answers.JSON(c, wire.List[wire.Node]{Items: s.monitor.Nodes(s.catalog.View().Stores(), time.Now())})
}

func (s *Server) getNode(c echo.Context) error {
	host, err := vstack.ParseHostID(c.Param("id"))
	if err != nil {
		return err
	}
	for _, n := range s.monitor.Nodes(s.catalog.View().Stores(), time.Now()) {
		if n.Host == host {
			return answers.JSON(c, n)
		}
	}
	return fmt.Errorf("host %s: %w", host, vstack.ErrNotFound)
}

func (s *Server) getStats(c echo.Context) error {
	l, leads := s.node.Leading()
	if !leads {
		return fmt.Errorf("stats: %w", vstack.ErrNoLeader)
	}
	view, st := s.catalog.View(), s.node.Status()
	lie := s.classes.Status(l, view)
	out := wire.Stats{Cluster: view.Cluster(), Leader: s.node.Leader(), Term: st.Term, Level: view.Level(), Videos: lie.Classes, Moving: lie.Moving, Bears: lie.Bears}
	out.Count(s.monitor.Nodes(view.Stores(), time.Now()))
	return answers.JSON(c, out)
}

// heartbeat takes a host's report. It registers stores that are new or have moved, and
// answers only after that is committed.
func (s *Server) heartbeat(c echo.Context) error {
	var hb wire.Heartbeat
	if err := asked.Body(c.Request(), &hb, true); err != nil {
		return err
	}
	if err := callerOf(c).Reports(hb); err != nil {
		return err
	}
	if len(hb.Version) > 128 {
		return fmt.Errorf("heartbeat of host %s: %w: version of %d bytes", hb.Host, vstack.ErrInvalid, len(hb.Version))
	}
	l, leads := s.node.Leading()
	if !leads {
		return fmt.Errorf("heartbeat of host %s: %w", hb.Host, vstack.ErrNoLeader)
	}
	refused := liveness.Foreign(s.catalog.View(), &hb)
	reg := command.RegisterStoresPayload{Host: hb.Host}
	for _, r := range hb.Stores {
		reg.Stores = append(reg.Stores, command.StoreRegistration{ID: r.ID, Addr: r.Addr, Capacity: r.Capacity})
	}
	if len(reg.Stores) > 0 || len(refused) == 0 { // else all its stores are refused
		if err := command.CheckRegistration(reg); err != nil {
			return err
		}
	}
	if len(reg.Stores) > 0 && !s.registered(reg) {
		if _, err := s.commit(c, command.RegisterStores, reg); err != nil {
			return err
		}
		s.cfg.Logger.Info("stores registered", "host", hb.Host, "stores", len(reg.Stores))
	}
	s.monitor.Record(l.Term, hb, time.Now())
	view := s.catalog.View()
	reply := wire.HeartbeatReply{
		Index: view.FeedIndex(), Cluster: view.Cluster(), Level: view.Level(), Refused: refused, Restored: view.RestoredAt(),
		Echo:       make(map[vstack.StoreID]vstack.LSN, len(hb.Stores)),
		ClassFloor: view.ClassFloor(),
	}
	reply.Whole, reply.Short = s.answerClaims(l, view, hb)
	_, reply.Paused = view.Redundancy()
	for _, r := range hb.Stores {
		st, _ := view.Store(r.ID)
		reply.Echo[r.ID] = s.monitor.Echo(r.ID, st.Echo)
	}
	return answers.JSON(c, reply)
}

// registered reports whether the catalog already says all that a registration would. A
// capacity is what a disk has left and moves with every write; it is worth an entry of
// the log only once it has moved by a twentieth.
func (s *Server) registered(reg command.RegisterStoresPayload) bool {
	view := s.catalog.View()
	for _, r := range reg.Stores {
		st, ok := view.Store(r.ID)
		if !ok || st.Host != reg.Host || st.Addr != r.Addr || max(st.Capacity-r.Capacity, r.Capacity-st.Capacity) > st.Capacity/20 {
			return false
		}
	}
	return true
}
