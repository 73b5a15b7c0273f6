package metastore

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestNothingIsSharedOutWhileMovesArePaused has a host without roles, and an order to fill it: no
// group moves for as many looks as it takes to move many of them, and then all do.
func TestNothingIsSharedOutWhileMovesArePaused(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, false, nil)
	ctx, cl := t.Context(), c.client()
	for _, n := range nodes {
		n.set(func() { n.level = vstack.NewestLevel })
	}
	c.eventually("the level", func() bool {
		_, err := cl.RaiseLevel(ctx, vstack.NewestLevel)
		return err == nil
	})
	pause := func(yes bool) {
		if _, err := cl.SetRedundancy(ctx, wire.RedundancyRequest{Paused: &yes}); err != nil {
			t.Fatal(err)
		}
	}
	pause(true)
	before := c.placement()
	r, err := cl.SetBalance(ctx, vstack.BalanceRunning)
	if err != nil || !r.Paused || r.State != vstack.BalanceRunning || r.Groups == 0 {
		t.Fatalf("paused: %+v, %v", r, err)
	}
	looks := func() (n float64) {
		for _, m := range c.members {
			n += testutil.ToFloat64(m.epochs.Looks())
		}
		return n
	}
	seen := looks()
	c.eventually("ten looks", func() bool { return looks() >= seen+10 })
	for pg, g := range c.placement().Groups {
		if g.Next != nil || g.Epoch != before.Groups[pg].Epoch {
			t.Fatalf("group %d moves: %+v", pg, g)
		}
	}
	began := time.Now()
	pause(false)
	c.eventually("every store to have its share", func() bool {
		r, err := cl.Balance(ctx)
		return err == nil && r.State == vstack.BalanceIdle && r.Groups == 0
	})
	t.Logf("shared out within %v of the end of the pause", time.Since(began))
	if n := rolesOf(c.placement(), storeID(3, 0)); n == 0 {
		t.Error("the new host has no role")
	}
}
