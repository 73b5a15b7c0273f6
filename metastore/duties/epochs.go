package duties

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// epochPause is the least time between two looks at what should change.
const epochPause = 10 * time.Millisecond

// EpochsConfig bounds epoch changes; metastore.Config documents the fields.
type EpochsConfig struct {
	Window      int
	AttemptTime time.Duration
	DeadAfter   time.Duration
	// BalanceAfter is for how long the placement must not have changed before roles are
	// shared out anew by themselves.
	BalanceAfter time.Duration
}

// Epochs is the leader's duty of moving placement groups to their next epoch: it judges
// which stores are lost, issues attempts and overtakes those that do not end. Datanodes
// do the work and ask for the activation.
type Epochs struct {
	Member
	cfg EpochsConfig

	begun     *prometheus.CounterVec
	preparing prometheus.Gauge
	held      prometheus.Gauge
	waiting   prometheus.Gauge
	oldest    prometheus.Gauge
	looks     prometheus.Counter
	uneven    prometheus.Gauge

	// Of the duty's goroutine.
	term    uint64
	seen    epochsSeen
	planner *reconfigure.Planner
	told    map[vstack.StoreID]int // roles that nothing can take, as last logged
	// published are the groups that may hold chunks of published videos, by the feed up
	// to read.
	published [vstack.PlacementGroups]bool
	read      uint64
	// fragmented are those that do not do with fewer targets, as of an index of the feed.
	fragmented   *[vstack.PlacementGroups]bool
	fragmentedAt uint64
	still        stillness

	losses atomic.Pointer[[]reconfigure.Loss] // as of the last look
}

// Losses are the groups without a majority, as of this leader's last look; nil on others.
func (e *Epochs) Losses() []reconfigure.Loss {
	if l := e.losses.Load(); l != nil {
		return *l
	}
	return nil
}

// NewEpochs makes the duty; Run does it.
func NewEpochs(m Member, cfg EpochsConfig, reg prometheus.Registerer) (*Epochs, error) {
	e := &Epochs{
		Member: m, cfg: cfg,
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
		looks: prometheus.NewCounter(prometheus.CounterOpts{Name: "vstack_metastore_epoch_looks_total",
			Help: "Looks at the placement for groups that should change their epoch, on the leader."}),
		uneven: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_balance_groups",
			Help: "Placement groups that have yet to change for every store to have its share of the roles, on the leader; 0 while they are not shared out."}),
	}
	for _, c := range []prometheus.Collector{e.begun, e.preparing, e.held, e.waiting, e.oldest, e.looks, e.uneven} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of epoch changes: %w", err)
		}
	}
	return e, nil
}

// epochsSeen is what a look reads of the catalog; all else that it reads are the stores'
// words and the time, which ticks are for.
type epochsSeen struct {
	term, placement uint64
	frozen          bool
}

// Looks counts the looks at the placement; tests watch it.
func (e *Epochs) Looks() prometheus.Counter { return e.looks }

// Run looks when the placement changed, and at each tick for what is overdue and for what
// stores said: most commands change nothing of it, and a look may take tens of milliseconds.
func (e *Epochs) Run(ctx context.Context) {
	ticker := time.NewTicker(e.Tick)
	defer ticker.Stop()
	for tick := true; ; {
		changed := e.Catalog.Changed()
		if l, leads := e.Leading(); leads {
			view := e.Catalog.View()
			seen := epochsSeen{l.Term, view.PlacementVersion(), view.Frozen()}
			if tick || seen != e.seen {
				e.seen = seen
				e.change(ctx, l, view)
			}
		} else {
			e.rest()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			tick = true
		case <-changed:
			tick = false
			select {
			case <-ctx.Done():
				return
			case <-time.After(epochPause): // what comes together is looked at together
			}
		}
	}
}

// rest forgets what only a leader knows.
func (e *Epochs) rest() {
	e.term, e.told, e.seen = 0, nil, epochsSeen{}
	e.preparing.Set(0)
	e.held.Set(0)
	e.waiting.Set(0)
	e.oldest.Set(0)
	e.uneven.Set(0)
	e.still = stillness{}
	e.losses.Store(nil)
}

func (e *Epochs) change(ctx context.Context, l raftnode.Leadership, view *catalog.View) {
	e.looks.Inc()
	if e.term != l.Term {
		e.term, e.told = l.Term, nil
		e.planner = reconfigure.New(reconfigure.Config{Window: e.cfg.Window, AttemptTime: e.cfg.AttemptTime})
	}
	state := placed.Of(view)
	if !state.Map.Ready() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ProposeTimeout)
	defer cancel()
	// Before that a plan may still give every role to whom it likes.
	if view.Frozen() {
		e.giveUp(ctx, l, state.Map)
		state.Amnesia = e.Monitor.Amnesia()
	}
	state.Silent = e.Silent(l, state.Map)
	ordered := slices.ContainsFunc(state.Map.Stores, func(st vstack.Store) bool { return st.Leaving == vstack.LeaveOrdered })
	if ordered || state.Balance {
		state.Claims, state.Published = e.Monitor.Claims(), e.note(view)
	}
	if ordered {
		state.Fragmented = e.inFragments(view)
	}
	d, err := e.planner.Decide(state)
	losses, lerr := e.planner.Losses(state)
	e.losses.Store(&losses)
	if err = errors.Join(err, lerr); err != nil {
		e.Logger.Error("decide epoch changes", "err", err)
		return
	}
	e.uneven.Set(float64(d.Uneven))
	e.balance(ctx, view, state, d)
	e.preparing.Set(float64(d.Preparing))
	e.held.Set(float64(len(d.Held.Groups)))
	e.waiting.Set(float64(len(d.Held.Copies)))
	e.oldest.Set(d.Oldest.Seconds())
	e.tellHeld(d.Held.Roles)
	if len(d.Changes) == 0 {
		return
	}
	var p command.PrepareEpochsPayload
	for _, c := range d.Changes {
		p.Groups = append(p.Groups, command.EpochPreparation{PG: c.PG, From: c.From, After: c.After, Targets: c.Targets, Driver: c.Driver})
	}
	// A refusal means that an activation came in between: the next look is at what it left.
	if _, err := e.Propose(ctx, command.PrepareEpochs, p); err != nil {
		e.Logger.Info("epochs were not prepared", "groups", len(p.Groups), "err", err)
		return
	}
	for _, c := range d.Changes {
		e.begun.WithLabelValues(string(c.Reason)).Inc()
		e.Logger.Debug("epoch prepared", "group", c.PG, "epoch", c.From+1, "attempt", c.After+1, "driver", c.Driver, "reason", c.Reason)
	}
}

// note reads on in the feed which groups have chunks of published videos. What is deleted
// stays noted: that costs a wait, as do all groups where a manifest cannot be read.
func (e *Epochs) note(view *catalog.View) *[vstack.PlacementGroups]bool {
	for more := slices.Contains(e.published[:], false); more; {
		page, err := view.Feed(e.read)
		if err != nil {
			all := [vstack.PlacementGroups]bool{}
			for pg := range all {
				all[pg] = true
			}
			return &all
		}
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

// giveUp marks stores as dead that this leader has missed for DeadAfter.
func (e *Epochs) giveUp(ctx context.Context, l raftnode.Leadership, m *vstack.PlacementMap) {
	used := map[vstack.StoreID]bool{}
	for _, g := range m.Groups {
		for _, id := range g.Targets {
			used[id] = true
		}
	}
	var p command.SetLeavingPayload
	for _, st := range m.Stores {
		if st.State == vstack.StoreDown && st.Leaving == "" && used[st.ID] && e.Monitor.Silence(l.Term, st.ID, time.Now()) >= e.cfg.DeadAfter {
			p.Stores = append(p.Stores, command.StoreLeave{ID: st.ID, Why: vstack.LeaveDead})
			e.Logger.Warn("store is taken for lost: its roles move", "store", st.ID, "host", st.Host, "silent_for_at_least", e.cfg.DeadAfter)
		}
	}
	if len(p.Stores) == 0 {
		return
	}
	if _, err := e.Propose(ctx, command.SetLeaving, p); err != nil {
		e.Logger.Warn("commit that stores are lost", "err", err) // the next look tries again
	}
}

// tellHeld logs once which roles no other store can take.
func (e *Epochs) tellHeld(roles map[vstack.StoreID]int) {
	if maps.Equal(roles, e.told) {
		return
	}
	e.told = roles
	for _, id := range slices.SortedFunc(maps.Keys(roles), func(a, b vstack.StoreID) int { return slices.Compare(a[:], b[:]) }) {
		e.Logger.Warn("no other store can take these roles; they stay", "store", id, "roles", roles[id])
	}
}
