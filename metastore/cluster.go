package metastore

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/forward"
)

// feedGather is how long a page of the feed with nothing but edits waits for more of them.
const feedGather = 100 * time.Millisecond

func (s *Server) getPlacement(c echo.Context) error {
	if err := s.catchUp(c); err != nil {
		return err
	}
	view := s.catalog.View()
	if done, err := notModified(c, `"`+strconv.FormatUint(view.PlacementVersion(), 10)+`"`); done {
		return err
	}
	return answer(c, view.Placement())
}

// getFeed answers once something changed after since.
func (s *Server) getFeed(c echo.Context) error {
	since, err := queryUint(c, "since")
	if err != nil {
		return err
	}
	hold := s.cfg.FeedHold
	if v := c.QueryParam("wait"); v != "" {
		seconds, err := strconv.ParseFloat(v, 64)
		if err != nil || !(seconds >= 0 && seconds <= 30) {
			return fmt.Errorf("parameter wait=%.40q: %w: want 0 to 30 seconds", v, vstack.ErrInvalid)
		}
		hold = time.Duration(seconds * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), hold)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel) // a member that closes lets its readers go
	defer stop()
	// An end of waiting is an empty page, or what there is.
	_ = s.catalog.WaitFor(ctx, func(v *catalog.View) bool { return v.FeedIndex() > since })
	gather, done := context.WithTimeout(ctx, feedGather)
	defer done()
	_ = s.catalog.WaitFor(gather, func(v *catalog.View) bool { return v.Pressing(since) })
	p := s.catalog.View().Feed(since)
	s.sign(c, s.catalog.View().Applied())
	return answer(c, p)
}

func (s *Server) listNodes(c echo.Context) error {
	return answer(c, wire.List[wire.Node]{Items: s.monitor.Nodes(s.catalog.View().Stores())})
}

func (s *Server) getNode(c echo.Context) error {
	host, err := vstack.ParseHostID(c.Param("id"))
	if err != nil {
		return err
	}
	for _, n := range s.monitor.Nodes(s.catalog.View().Stores()) {
		if n.Host == host {
			return answer(c, n)
		}
	}
	return fmt.Errorf("host %s: %w", host, vstack.ErrNotFound)
}

// heartbeat takes a host's report. It registers stores that are new or have moved, and
// answers only after that is committed.
func (s *Server) heartbeat(c echo.Context) error {
	var hb wire.Heartbeat
	if err := decode(c, &hb, true); err != nil {
		return err
	}
	if err := s.checkReporter(c.Request(), hb.Host); err != nil {
		return err
	}
	if len(hb.Version) > 128 {
		return fmt.Errorf("heartbeat of host %s: %w: version of %d bytes", hb.Host, vstack.ErrInvalid, len(hb.Version))
	}
	l, leads := s.node.Leading()
	if !leads {
		return fmt.Errorf("heartbeat of host %s: %w", hb.Host, vstack.ErrNoLeader)
	}
	refused := s.refuseForeign(&hb)
	reg := catalog.RegisterStoresPayload{Host: hb.Host}
	for _, r := range hb.Stores {
		reg.Stores = append(reg.Stores, catalog.StoreRegistration{ID: r.ID, Addr: r.Addr, Capacity: r.Capacity})
	}
	if len(reg.Stores) > 0 || len(refused) == 0 { // else all its stores are refused
		if err := catalog.CheckRegistration(reg); err != nil {
			return err
		}
	}
	if len(reg.Stores) > 0 && !s.registered(reg) {
		if _, err := s.commit(c, catalog.RegisterStores, reg); err != nil {
			return err
		}
		s.cfg.Logger.Info("stores registered", "host", hb.Host, "stores", len(reg.Stores))
	}
	s.monitor.Record(l.Term, hb, time.Now())
	view := s.catalog.View()
	reply := wire.HeartbeatReply{
		Index: view.FeedIndex(), Cluster: view.Cluster(), Refused: refused, Restored: view.RestoredAt(),
		Echo: make(map[vstack.StoreID]vstack.LSN, len(hb.Stores)),
	}
	for _, r := range hb.Stores {
		st, _ := view.Store(r.ID)
		reply.Echo[r.ID] = s.monitor.Echo(r.ID, st.Echo)
	}
	return answer(c, reply)
}

// refuseForeign takes the stores out of a heartbeat whose past is not this catalog's: a
// catalog that was made anew, or set back to an old backup, does not name what they
// hold, and must not let them think that nobody needs it.
func (s *Server) refuseForeign(hb *wire.Heartbeat) map[vstack.StoreID]string {
	view := s.catalog.View()
	refused := map[vstack.StoreID]string{}
	hb.Stores = slices.DeleteFunc(hb.Stores, func(r wire.StoreReport) bool {
		switch {
		case !r.Cluster.IsZero() && r.Cluster != view.Cluster():
			of := "cluster " + view.Cluster().String()
			if view.Cluster().IsZero() {
				of = "no cluster yet: it is new"
			}
			refused[r.ID] = fmt.Sprintf("%v: the store is of cluster %s, the catalog of %s", vstack.ErrForeignCatalog, r.Cluster, of)
		case r.Seen > view.Applied():
			refused[r.ID] = fmt.Sprintf("%v: the store has followed it to index %d, and it is at %d: it went back", vstack.ErrForeignCatalog, r.Seen, view.Applied())
		default:
			return false
		}
		return true
	})
	return refused
}

// checkReporter lets a host speak for itself only. A member that forwards presents its
// own certificate and says whose the request's was.
func (s *Server) checkReporter(r *http.Request, host vstack.HostID) error {
	p, err := identity.RequirePeer(r, identity.RoleHost)
	if err != nil {
		return err
	}
	if by := r.Header.Get(wire.HeaderForwarded); by != "" && by == p.ID {
		_, member := s.node.Member(by)
		// One that was removed and does not know yet may still speak for its own host.
		if (member || by == string(host)) && r.Header.Get(wire.HeaderCaller) == forward.Caller(identity.Peer{Role: identity.RoleHost, ID: string(host)}) {
			return nil
		}
	} else if p.ID == string(host) {
		return nil
	}
	return fmt.Errorf("heartbeat of host %s: %w: the certificate is of %q", host, vstack.ErrForbidden, p.ID)
}

// registered reports whether the catalog already says all that a registration would. A
// capacity is what a disk has left and moves with every write; it is worth an entry of
// the log only once it has moved by a twentieth.
func (s *Server) registered(reg catalog.RegisterStoresPayload) bool {
	view := s.catalog.View()
	for _, r := range reg.Stores {
		st, ok := view.Store(r.ID)
		if !ok || st.Host != reg.Host || st.Addr != r.Addr || max(st.Capacity-r.Capacity, r.Capacity-st.Capacity) > st.Capacity/20 {
			return false
		}
	}
	return true
}
