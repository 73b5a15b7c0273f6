package metastore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// epochPause is the least time between two looks at what should change.
const epochPause = 10 * time.Millisecond

// epochs is the leader's duty of moving placement groups to their next epoch: it judges
// which stores are lost, issues attempts and overtakes those that do not end. Datanodes
// do the work and ask for the activation.
type epochs struct {
	begun     *prometheus.CounterVec
	preparing prometheus.Gauge
	held      prometheus.Gauge
	waiting   prometheus.Gauge
	oldest    prometheus.Gauge

	// Of the duty's goroutine.
	term    uint64
	planner *reconfigure.Planner
	told    map[vstack.StoreID]int // roles that nothing can take, as last logged
	// published are the groups that may hold chunks of published videos, by the feed up
	// to read.
	published [vstack.PlacementGroups]bool
	read      uint64
}

func newEpochs(reg prometheus.Registerer) (*epochs, error) {
	e := &epochs{
		begun: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_metastore_epoch_attempts_total",
			Help: "Attempts that this leader issued to bring a placement group to its next epoch, by reason; overdue and orphan ones repeat another."}, []string{"reason"}),
		preparing: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_epoch_preparing_groups",
			Help: "Placement groups whose next epoch is being prepared, on the leader."}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_epoch_held_groups",
			Help: "Placement groups that should change their epoch and lack a majority of acceptors, on the leader."}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_epoch_waiting_groups",
			Help: "Placement groups that an order would move and that wait for copies of the stores which they keep, on the leader."}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_epoch_oldest_attempt_seconds",
			Help: "For how long the oldest attempt that is not activated is out, on the leader."}),
	}
	for _, c := range []prometheus.Collector{e.begun, e.preparing, e.held, e.waiting, e.oldest} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of epoch changes: %w", err)
		}
	}
	return e, nil
}

// runEpochs looks after each change of the catalog, and at each tick for what is overdue.
func (s *Server) runEpochs(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Tick)
	defer ticker.Stop()
	for {
		changed := s.catalog.Changed()
		if l, leads := s.node.Leading(); leads {
			s.changeEpochs(ctx, l)
		} else {
			s.epochs.rest()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-changed:
			select {
			case <-ctx.Done():
				return
			case <-time.After(epochPause): // what comes together is looked at together
			}
		}
	}
}

// rest forgets what only a leader knows.
func (e *epochs) rest() {
	e.term, e.told = 0, nil
	e.preparing.Set(0)
	e.held.Set(0)
	e.waiting.Set(0)
	e.oldest.Set(0)
}

func (s *Server) changeEpochs(ctx context.Context, l raftnode.Leadership) {
	e := s.epochs
	if e.term != l.Term {
		e.term, e.told = l.Term, nil
		e.planner = reconfigure.New(reconfigure.Config{Window: s.cfg.EpochWindow, AttemptTime: s.cfg.AttemptTime})
	}
	view := s.catalog.View()
	state := stateOf(view)
	if !state.Map.Ready() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	// Before that a plan may still give every role to whom it likes.
	if view.Frozen() {
		s.giveUp(ctx, l, state.Map)
		state.Amnesia = s.monitor.Amnesia()
	}
	state.Silent = s.silent(l, state.Map)
	if slices.ContainsFunc(state.Map.Stores, func(st vstack.Store) bool { return st.Leaving == vstack.LeaveOrdered }) {
		state.Surveys, state.Published = s.monitor.Surveys(), e.note(view)
	}
	d, err := e.planner.Decide(state)
	if err != nil {
		s.cfg.Logger.Error("decide epoch changes", "err", err)
		return
	}
	e.preparing.Set(float64(d.Preparing))
	e.held.Set(float64(len(d.Held.Groups)))
	e.waiting.Set(float64(len(d.Held.Copies)))
	e.oldest.Set(d.Oldest.Seconds())
	s.tellHeld(d.Held.Roles)
	if len(d.Changes) == 0 {
		return
	}
	var p catalog.PrepareEpochsPayload
	for _, c := range d.Changes {
		p.Groups = append(p.Groups, catalog.EpochPreparation{PG: c.PG, From: c.From, After: c.After, Targets: c.Targets, Driver: c.Driver})
	}
	// A refusal means that an activation came in between: the next look is at what it left.
	if _, err := s.propose(ctx, catalog.PrepareEpochs, p, ""); err != nil {
		s.cfg.Logger.Info("epochs were not prepared", "groups", len(p.Groups), "err", err)
		return
	}
	for _, c := range d.Changes {
		e.begun.WithLabelValues(string(c.Reason)).Inc()
		s.cfg.Logger.Debug("epoch prepared", "group", c.PG, "epoch", c.From+1, "attempt", c.After+1, "driver", c.Driver, "reason", c.Reason)
	}
}

// note reads on in the feed which groups have chunks of published videos. What is deleted
// stays noted: that costs a wait.
func (e *epochs) note(view *catalog.View) *[vstack.PlacementGroups]bool {
	for more := slices.Contains(e.published[:], false); more; {
		page := view.Feed(e.read)
		for _, v := range page.Videos {
			if v.Manifest != nil {
				for slot := range v.Manifest.Slots {
					e.published[slot.PG()] = true
				}
			}
		}
		e.read, more = page.Index, page.More
	}
	return &e.published
}

// stateOf is what the catalog says of epochs; what stores say of themselves is not in it.
func stateOf(view *catalog.View) reconfigure.State {
	s := reconfigure.State{Map: view.Placement(), Wanted: map[vstack.StoreID]vstack.StoreID{}, Now: time.Now()}
	for _, st := range view.Stores() {
		if !st.With.IsZero() {
			s.Wanted[st.ID] = st.With
		}
	}
	return s
}

// silent are the stores that this leader has missed for as long as makes one suspect: a new
// leader commits nothing about stores that it never heard of before DownAfter, and should not
// wait so long for a driver that died with the leader before it.
func (s *Server) silent(l raftnode.Leadership, m *vstack.PlacementMap) map[vstack.StoreID]bool {
	out := map[vstack.StoreID]bool{}
	now := time.Now()
	for _, st := range m.Stores {
		if s.monitor.Silence(l.Term, st.ID, now) >= s.cfg.SuspectAfter {
			out[st.ID] = true
		}
	}
	return out
}

// giveUp marks stores as dead that this leader has missed for DeadAfter.
func (s *Server) giveUp(ctx context.Context, l raftnode.Leadership, m *vstack.PlacementMap) {
	used := map[vstack.StoreID]bool{}
	for _, g := range m.Groups {
		for _, id := range g.Targets {
			used[id] = true
		}
	}
	var p catalog.SetLeavingPayload
	for _, st := range m.Stores {
		if st.State == vstack.StoreDown && st.Leaving == "" && used[st.ID] && s.monitor.Silence(l.Term, st.ID, time.Now()) >= s.cfg.DeadAfter {
			p.Stores = append(p.Stores, catalog.StoreLeave{ID: st.ID, Why: vstack.LeaveDead})
			s.cfg.Logger.Warn("store is taken for lost: its roles move", "store", st.ID, "host", st.Host, "silent_for_at_least", s.cfg.DeadAfter)
		}
	}
	if len(p.Stores) == 0 {
		return
	}
	if _, err := s.propose(ctx, catalog.SetLeaving, p, ""); err != nil {
		s.cfg.Logger.Warn("commit that stores are lost", "err", err) // the next look tries again
	}
}

// tellHeld logs once which roles no other store can take.
func (s *Server) tellHeld(roles map[vstack.StoreID]int) {
	if maps.Equal(roles, s.epochs.told) {
		return
	}
	s.epochs.told = roles
	for _, id := range slices.SortedFunc(maps.Keys(roles), func(a, b vstack.StoreID) int { return slices.Compare(a[:], b[:]) }) {
		s.cfg.Logger.Warn("no other store can take these roles; they stay", "store", id, "roles", roles[id])
	}
}

// placementDetail is what the readiness page says of the placement.
func placementDetail(view *catalog.View) string {
	state := stateOf(view)
	if !state.Map.Ready() {
		// Not an error: the catalog serves, and uploads are told NOT_READY.
		return fmt.Sprintf("waits for stores: %d have registered", len(state.Map.Stores))
	}
	preparing, held := 0, 0
	for _, g := range state.Map.Groups {
		if g.Next != nil {
			preparing++
		}
	}
	roles, err := reconfigure.Stay(state)
	for _, n := range roles {
		held += n
	}
	switch {
	case err != nil:
		return "assigned; " + err.Error()
	case preparing+held == 0:
		return "assigned"
	}
	return fmt.Sprintf("assigned; %d groups change their epoch; %d roles of leaving stores have no taker", preparing, held)
}

// replaceStore takes an operator's order.
func (s *Server) replaceStore(c echo.Context) error {
	id, err := vstack.ParseStoreID(c.Param("id"))
	if err != nil {
		return err
	}
	var req wire.ReplaceStoreRequest
	if err := decode(c, &req, false); err != nil {
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
	state := stateOf(view)
	if !state.Map.Ready() {
		return fmt.Errorf("replace store %s: %w", id, vstack.ErrNotReady)
	}
	roles, groups, err := reconfigure.Movable(state, id, req.With)
	if err != nil {
		return err
	}
	if roles > 0 && groups == 0 {
		return fmt.Errorf("replace store %s: %w: no other store can take any of its %d roles", id, vstack.ErrNotReady, roles)
	}
	res, err := s.commit(c, catalog.SetLeaving, catalog.SetLeavingPayload{Stores: []catalog.StoreLeave{{ID: id, Why: vstack.LeaveOrdered, With: req.With}}})
	if err != nil {
		return err
	}
	s.cfg.Logger.Info("store is to be replaced", "store", id, "with", req.With, "roles", roles, "movable", groups)
	return answer(c, wire.ReplaceStoreReply{Groups: groups, Index: res.Index})
}

// admitStoreHost lets only hosts of the cluster speak for acceptors. A member that
// forwards has asked the same.
func (s *Server) admitStoreHost(c echo.Context) error {
	p, err := identity.RequirePeer(c.Request(), identity.RoleHost)
	if err != nil {
		return err
	}
	if _, member := s.node.Member(p.ID); member {
		return nil
	}
	for _, st := range s.catalog.View().Stores() {
		if string(st.Host) == p.ID {
			return nil
		}
	}
	return fmt.Errorf("%w: %q has no store in this cluster", vstack.ErrForbidden, p.ID)
}

// activateEpochs takes a driver's word that a majority of the new acceptors of each
// group has the attempt's install durably.
func (s *Server) activateEpochs(c echo.Context) error {
	var req wire.ActivateRequest
	if err := decode(c, &req, false); err != nil {
		return err
	}
	p := catalog.ActivateEpochsPayload{Changes: req.Changes}
	if err := catalog.CheckActivation(p); err != nil {
		return err
	}
	res, err := s.commit(c, catalog.ActivateEpochs, p)
	if err != nil {
		return err
	}
	reply := wire.ActivateReply{Index: res.Index, Activated: res.Activated, Refused: res.Refused}
	if reply.Activated == nil {
		reply.Activated = []wire.EpochChange{}
	}
	return answer(c, reply)
}
