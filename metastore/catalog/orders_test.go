package catalog

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/manifest"
)

func orderOf(o vstack.StoreOrder, stores ...int) command.OrderStoresPayload {
	p := command.OrderStoresPayload{Order: o}
	for _, n := range stores {
		p.Stores = append(p.Stores, store(n))
	}
	return p
}

// drawOrder makes orders of which some are refused.
func drawOrder(t *rapid.T, n int) (command.Type, any) {
	if rapid.IntRange(0, 4).Draw(t, "balance") == 0 {
		return command.SetBalance, command.SetBalancePayload{To: rapid.SampledFrom([]vstack.Balance{"", "running", "held", "tilted"}).Draw(t, "to")}
	}
	orders := []vstack.StoreOrder{vstack.OrderCordon, vstack.OrderUncordon, vstack.OrderDrain, vstack.OrderUndrain, vstack.OrderRemove, "paint"}
	return command.OrderStores, orderOf(rapid.SampledFrom(orders).Draw(t, "order"), n, (n+rapid.IntRange(0, 1).Draw(t, "other"))%6)
}

func TestOrdersForStores(t *testing.T) {
	d := spare(t) // stores 0 to 2 are targets, 3 is a spare
	d.refused(vstack.ErrInvalid, command.OrderStores, orderOf(vstack.OrderCordon, 3))
	d.refused(vstack.ErrInvalid, command.SetBalance, command.SetBalancePayload{To: vstack.BalanceRunning})
	d.raise(vstack.LevelPolicy)
	is := func(n int, cordoned bool, leaving vstack.Leave) {
		t.Helper()
		if s, ok := d.c.View().Store(store(n)); !ok || s.Cordoned != cordoned || s.Leaving != leaving {
			t.Errorf("store %d is %+v", n, s)
		}
	}
	d.must(command.OrderStores, orderOf(vstack.OrderDrain, 0, 3))
	is(0, true, vstack.LeaveOrdered)
	is(3, true, "")
	d.refused(vstack.ErrInvalid, command.OrderStores, orderOf(vstack.OrderUncordon, 3, 0)) // 0 is being drained
	is(3, true, "")
	d.must(command.OrderStores, orderOf(vstack.OrderUncordon, 3))
	is(3, false, "")
	d.must(command.OrderStores, orderOf(vstack.OrderUndrain, 0))
	is(0, false, "")
	d.must(command.OrderStores, orderOf(vstack.OrderCordon, 1))
	is(1, true, "")
	d.refused(vstack.ErrNotFound, command.OrderStores, orderOf(vstack.OrderCordon, 0, 9))
	d.refused(vstack.ErrInvalid, command.OrderStores, orderOf("paint", 0))
	d.refused(vstack.ErrInvalid, command.OrderStores, orderOf(vstack.OrderCordon))
	d.refused(vstack.ErrStoreInUse, command.OrderStores, orderOf(vstack.OrderRemove, 3, 0))
	is(3, false, "")

	before := d.c.View()
	d.must(command.OrderStores, orderOf(vstack.OrderRemove, 3, 3))
	if _, ok := d.c.View().Store(store(3)); ok || len(d.c.View().Stores()) != 3 || d.c.View().PlacementVersion() != d.index {
		t.Errorf("a removed store is still there, or nobody is told: %+v", d.c.View().Stores())
	}
	if _, ok := before.Store(store(3)); !ok {
		t.Error("a view of before lost it too")
	}
	d.must(command.RegisterStores, registration(3)) // it runs after all: a new store
	is(3, false, "")

	for _, to := range []vstack.Balance{vstack.BalanceRunning, vstack.BalanceHeld, vstack.BalanceIdle} {
		sum := checksum(t, d.c)
		if d.must(command.SetBalance, command.SetBalancePayload{To: to}); d.c.View().Balance() != to || checksum(t, d.c) == sum {
			t.Errorf("balance is %q, want %q, and the checksum must see it", d.c.View().Balance(), to)
		}
	}
	d.refused(vstack.ErrInvalid, command.SetBalance, command.SetBalancePayload{To: "tilted"})
}

// TestADrainedStoreStaysCordoned: it would be filled again otherwise.
func TestADrainedStoreStaysCordoned(t *testing.T) {
	d := spare(t)
	d.raise(vstack.LevelPolicy)
	d.must(command.OrderStores, orderOf(vstack.OrderDrain, 0))
	for pg := range vstack.PG(vstack.PlacementGroups) {
		d.must(command.PrepareEpochs, prepare(preparation(pg, 1, 0, 3, 1, 2)))
		d.must(command.ActivateEpochs, activate(change(pg, 2, 1)))
	}
	if s, _ := d.c.View().Store(store(0)); !s.Cordoned || s.Leaving != "" {
		t.Errorf("without a role it is %+v", s)
	}
}

func TestGroupsOfVideos(t *testing.T) {
	d := classy(t)
	m, _, err := d.c.View().Manifest(video(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		to         vstack.StorageClass
		fragmented bool
	}{{"", false}, {vstack.ClassCooling, true}, {vstack.ClassCold, true}, {vstack.ClassWarming, true}, {vstack.ClassHot, false}} {
		if at.to != "" {
			d.must(command.StepClass, d.step(1, at.to))
		}
		published, fragmented := d.c.View().PublishedGroups(), d.c.View().Fragmented()
		for pg, yes := range manifest.Groups(m) {
			if published[pg] != yes || fragmented[pg] != (yes && at.fragmented) {
				t.Errorf("%s: group %d published %v, in fragments %v; it has chunks: %v", at.to, pg, published[pg], fragmented[pg], yes)
			}
		}
	}
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)})
	if got := d.c.View().PublishedGroups(); *got != [vstack.PlacementGroups]bool{} {
		t.Errorf("a deleted video still has groups: %v", got)
	}
}
