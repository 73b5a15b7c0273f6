package held

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// every is how often a member that does not lead asks the leader.
const every = 5 * time.Second

// Watch keeps how many groups there are, for metrics.
type Watch struct {
	// Own counts them on the leader; false on others.
	Own func() (int, bool)
	// Ask asks the leader for its state.
	Ask func(ctx context.Context) (wire.RaftPeer, error)

	groups prometheus.Gauge
}

// Register makes the metric.
func (w *Watch) Register(reg prometheus.Registerer) error {
	w.groups = prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_groups_held",
		Help: "Placement groups that take no writes, since fewer than two of their acceptors are up and remember their votes; as this member last heard of the leader, or knows itself."})
	if err := reg.Register(w.groups); err != nil {
		return fmt.Errorf("register the metric of held groups: %w", err)
	}
	return nil
}

// Run keeps the metric until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *Watch) look(ctx context.Context) {
	n, leads := w.Own()
	if !leads {
		ctx, cancel := context.WithTimeout(ctx, every)
		defer cancel()
		p, err := w.Ask(ctx)
		if err != nil {
			return // without a leader nothing new is known
		}
		n = p.Held
	}
	w.groups.Set(float64(n))
}

// List says of each group what it lacks.
func List(losses []reconfigure.Loss, m *vstack.PlacementMap) wire.List[wire.HeldGroup] {
	stores := make(map[vstack.StoreID]vstack.Store, len(m.Stores))
	for _, st := range m.Stores {
		stores[st.ID] = st
	}
	out := wire.List[wire.HeldGroup]{Items: []wire.HeldGroup{}}
	for _, l := range losses {
		if int(l.PG) >= len(m.Groups) || m.Groups[l.PG].Epoch != l.From {
			continue // it has moved on since the last look
		}
		h := wire.HeldGroup{PG: l.PG, Epoch: l.From, Acceptable: l.Targets != nil}
		for _, id := range m.Groups[l.PG].Acceptors() {
			a := wire.HeldAcceptor{Store: id, Host: stores[id].Host, State: string(stores[id].State)}
			if slices.Contains(l.Amnesic, id) {
				a.State = "forgot"
			}
			h.Acceptors = append(h.Acceptors, a)
		}
		out.Items = append(out.Items, h)
	}
	return out
}

// Accept makes the command that gives up the votes of groups, if each may be given up.
func Accept(losses []reconfigure.Loss, req wire.AcceptLossRequest) (command.AcceptLossPayload, error) {
	var p command.AcceptLossPayload
	for _, g := range req.Groups {
		i := slices.IndexFunc(losses, func(l reconfigure.Loss) bool { return l.PG == g.PG })
		switch {
		case i < 0:
			return p, fmt.Errorf("accept the loss of group %d: %w: two of its acceptors are up and remember their votes: nothing is lost", g.PG, vstack.ErrInvalid)
		case losses[i].From != g.Epoch:
			return p, fmt.Errorf("accept the loss of group %d at epoch %d: %w: it is at %d", g.PG, g.Epoch, vstack.ErrEpochStale, losses[i].From)
		case losses[i].Targets == nil:
			return p, fmt.Errorf("accept the loss of group %d: %w: fewer than two stores on hosts of their own are up to vote in its next epoch: start or add a host", g.PG, vstack.ErrNoTaker)
		}
		l := losses[i]
		p.Groups = append(p.Groups, command.LostGroup{PG: l.PG, From: l.From, To: l.To, Targets: l.Targets})
	}
	return p, nil
}

// Reply says which epochs begin.
func Reply(p command.AcceptLossPayload, index uint64) wire.AcceptLossReply {
	out := wire.AcceptLossReply{Index: index}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, wire.GroupEpoch{PG: g.PG, Epoch: g.To})
	}
	return out
}
