package metastore

import (
	"errors"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestVotesThatAreGoneAreGivenUpByAnOrder has two acceptors of three forget their votes in some
// groups: nobody can end those epochs. It is said by every member, and an order begins epochs
// without those votes, after which the groups change as others do.
func TestVotesThatAreGoneAreGivenUpByAnOrder(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 3, true, nil) // a driver could not end these epochs
	for _, n := range nodes {
		n.set(func() { n.level = vstack.NewestLevel })
	}
	c.eventually("the newest level", func() bool {
		_, err := c.client().RaiseLevel(t.Context(), vstack.NewestLevel)
		return err == nil
	})
	before := c.placement()
	groups := []vstack.PG{3, 70, 101}
	for _, pg := range groups {
		for _, id := range before.Groups[pg].Acceptors()[:2] {
			for h, n := range nodes {
				if id == storeID(h, 0) || id == storeID(h, 1) {
					n.set(func() { n.amnesic[id] = append(n.amnesic[id], pg) })
				}
			}
		}
	}
	cl := c.client()
	var held []wire.HeldGroup
	c.eventually("the groups to be held", func() bool {
		var err error
		held, err = cl.HeldGroups(t.Context())
		return err == nil && len(held) == len(groups)
	})
	for i, g := range held {
		forgot := 0
		for _, a := range g.Acceptors {
			if a.State == "forgot" {
				forgot++
			}
		}
		if g.PG != groups[i] || forgot != 2 || !g.Acceptable {
			t.Errorf("%+v", g)
		}
	}
	c.eventually("every member to say so", func() bool {
		for i := range 3 {
			if heldOf(t, c.members[i].cfg.Registry) != float64(len(groups)) {
				return false
			}
		}
		st, err := cl.RaftStatus(t.Context())
		return err == nil && slices.ContainsFunc(st.Peers, func(p wire.RaftPeer) bool { return p.Leader && p.Held == len(groups) })
	})

	order := func(pg vstack.PG, epoch vstack.Epoch) error {
		_, err := cl.AcceptLoss(t.Context(), wire.AcceptLossRequest{Groups: []wire.GroupEpoch{{PG: pg, Epoch: epoch}}})
		return err
	}
	if err := order(4, before.Groups[4].Epoch); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a group that lost nothing: %v", err)
	}
	// A leader that is new hears of what stores forgot with their next heartbeats.
	c.eventually("a refusal at another epoch than was seen", func() bool {
		return errors.Is(order(3, before.Groups[3].Epoch+1), vstack.ErrEpochStale)
	})
	if _, err := c.clientAs(c.reader(t)).AcceptLoss(t.Context(), wire.AcceptLossRequest{}); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("a reader: %v", err)
	}
	req := wire.AcceptLossRequest{}
	for _, g := range held {
		req.Groups = append(req.Groups, wire.GroupEpoch{PG: g.PG, Epoch: g.Epoch})
	}
	c.eventually("the order to be taken", func() bool {
		reply, err := cl.AcceptLoss(t.Context(), req)
		if errors.Is(err, vstack.ErrEpochStale) { // the answer was lost, or an attempt began
			return slices.ContainsFunc(groups, func(pg vstack.PG) bool { return c.placement().Groups[pg].Epoch > before.Groups[pg].Epoch })
		}
		return err == nil && len(reply.Groups) == len(groups)
	})
	for _, n := range nodes {
		n.set(func() { clear(n.amnesic) }) // as the stores do when they hear of it
	}
	m := c.placement()
	for _, pg := range groups {
		if g, old := m.Groups[pg], before.Groups[pg]; g.Epoch <= old.Epoch || g.Attempt != 0 || !slices.Equal(g.Targets, old.Targets) {
			t.Errorf("group %d: %+v, before %+v", pg, g, old)
		}
	}
	c.eventually("nothing to be held", func() bool {
		held, err := cl.HeldGroups(t.Context())
		return err == nil && len(held) == 0
	})
	page, err := cl.Events(t.Context(), 0, 1000)
	if err != nil || !slices.ContainsFunc(page.Items, func(e vstack.Event) bool {
		return e.Kind == vstack.EventAccepted && e.Of == "group 70" && e.By != ""
	}) {
		t.Errorf("no event tells who gave what up: %+v, %v", page.Items, err)
	}
}

// heldOf reads the metric of a member.
func heldOf(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "vstack_metastore_groups_held" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}
