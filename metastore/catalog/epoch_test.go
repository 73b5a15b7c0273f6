package catalog

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func prepare(groups ...command.EpochPreparation) command.PrepareEpochsPayload {
	return command.PrepareEpochsPayload{Groups: groups}
}

// preparation moves a group to the given stores; the first of them drives.
func preparation(pg vstack.PG, from vstack.Epoch, after uint32, targets ...int) command.EpochPreparation {
	p := command.EpochPreparation{PG: pg, From: from, After: after, Driver: store(targets[0])}
	for _, n := range targets {
		p.Targets = append(p.Targets, store(n))
	}
	return p
}

func change(pg vstack.PG, epoch vstack.Epoch, attempt uint32) wire.EpochChange {
	return wire.EpochChange{PG: pg, Epoch: epoch, Attempt: attempt}
}

func activate(changes ...wire.EpochChange) command.ActivateEpochsPayload {
	return command.ActivateEpochsPayload{Changes: changes}
}

func leave(id int, why vstack.Leave, with int) command.SetLeavingPayload {
	return command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: store(id), Why: why, With: store(with)}}}
}

// drawEpochCommand makes epoch commands on two groups, so that attempts meet.
func drawEpochCommand(t *rapid.T, n int) (command.Type, any) {
	pg := vstack.PG(rapid.IntRange(0, 1).Draw(t, "group"))
	from := vstack.Epoch(rapid.IntRange(1, 3).Draw(t, "epoch"))
	attempt := uint32(rapid.IntRange(0, 2).Draw(t, "attempt"))
	switch rapid.IntRange(0, 5).Draw(t, "epoch command") {
	case 0:
		p := leave(n, vstack.Leave(rapid.SampledFrom([]string{"dead", "ordered", "bored"}).Draw(t, "why")), (n+1)%6)
		if rapid.Bool().Draw(t, "for whichever") {
			p.Stores[0].With = vstack.StoreID{}
		}
		return command.SetLeaving, p
	case 1, 2, 3:
		targets := []int{0, 1, 2}
		if n > 2 {
			targets = append(targets, n)
		}
		return command.PrepareEpochs, prepare(preparation(pg, from, attempt, rapid.Permutation(targets).Draw(t, "targets")...))
	}
	return command.ActivateEpochs, activate(change(pg, from+1, attempt+1))
}

func (d *driver) group(pg vstack.PG) vstack.PGTargets { return d.c.View().Placement().Groups[pg] }

func (d *driver) refused(want error, typ command.Type, payload any) {
	d.t.Helper()
	before := d.c.View().meta.Sum
	if r := d.do(typ, payload, ""); !errors.Is(r.Err(), want) {
		d.t.Errorf("%s: %v, want %v", typ, r.Err(), want)
	}
	if d.c.View().meta.Sum != before {
		d.t.Errorf("%s was refused and changed something", typ)
	}
}

// spare is a catalog with a fourth store that has no role, and an upload.
func spare(t testing.TB) *driver {
	d := placed(t)
	d.must(command.OpenUpload, opening(1))
	d.must(command.RegisterStores, registration(3))
	return d
}

func TestOnlyTheLastAttemptIsActivated(t *testing.T) {
	d := spare(t)
	d.must(command.PrepareEpochs, prepare(preparation(7, 1, 0, 1, 2, 3)))
	if g := d.group(7); g.Epoch != 1 || g.Next == nil || g.Next.Epoch != 2 || g.Next.Attempt != 1 || g.Next.Driver != store(1) {
		t.Fatalf("prepared %+v, next %+v", g, g.Next)
	}
	d.must(command.PrepareEpochs, prepare(preparation(7, 1, 1, 3, 1, 2)))
	before := d.group(7)
	r := d.must(command.ActivateEpochs, activate(change(7, 2, 1), change(8, 2, 1)))
	if len(r.Activated) != 0 || !slices.Equal(r.Refused, []wire.EpochChange{change(7, 2, 1), change(8, 2, 1)}) {
		t.Fatalf("an overtaken attempt, and a group that is not prepared: %+v", r)
	}
	if after := d.group(7); !reflect.DeepEqual(before, after) {
		t.Fatalf("a refused activation changed %+v into %+v", before, after)
	}
	version := d.c.View().PlacementVersion()
	r = d.must(command.ActivateEpochs, activate(change(7, 2, 2)))
	if len(r.Activated) != 1 || len(r.Refused) != 0 {
		t.Fatalf("the last attempt: %+v", r)
	}
	g := d.group(7)
	if g.Epoch != 2 || g.Attempt != 2 || g.Next != nil || !slices.Equal(g.Targets, []vstack.StoreID{store(3), store(1), store(2)}) {
		t.Fatalf("activated %+v", g)
	}
	if v := d.c.View().PlacementVersion(); v != d.index || v == version {
		t.Errorf("placement version %d after entry %d", v, d.index)
	}
	// The answer was lost: the same again is in force, and changes nothing.
	r = d.must(command.ActivateEpochs, activate(change(7, 2, 2), change(7, 2, 1)))
	if !slices.Equal(r.Activated, []wire.EpochChange{change(7, 2, 2)}) || !slices.Equal(r.Refused, []wire.EpochChange{change(7, 2, 1)}) {
		t.Fatalf("again: %+v", r)
	}
	if v := d.c.View().PlacementVersion(); v == d.index {
		t.Error("an activation that was in force already wakes everybody")
	}
	if page := feedOf(t, d.c.View(), d.index-2); page.Placement == nil || page.Placement.Groups[7].Epoch != 2 {
		t.Errorf("the feed shows %+v", page.Placement)
	}
	// Attempts of the next epoch begin anew.
	d.must(command.PrepareEpochs, prepare(preparation(7, 2, 0, 1, 2, 0)))
	if n := d.group(7).Next; n.Epoch != 3 || n.Attempt != 1 {
		t.Errorf("next epoch: %+v", n)
	}
}

func TestPrepareRefusesWhatWasDecidedOnAnotherState(t *testing.T) {
	d := spare(t)
	d.must(command.PrepareEpochs, prepare(preparation(1, 1, 0, 0, 1, 3)))
	for name, p := range map[string]command.EpochPreparation{
		"another epoch":           preparation(2, 2, 0, 0, 1, 3),
		"the first attempt again": preparation(1, 1, 0, 0, 1, 3),
		"an attempt too far":      preparation(1, 1, 2, 0, 1, 3),
	} {
		t.Run(name, func(*testing.T) {
			d.refused(vstack.ErrEpochStale, command.PrepareEpochs, prepare(preparation(5, 1, 0, 3, 1, 2), p))
		})
	}
	bare := preparation(2, 1, 0, 0, 1, 3)
	bare.Driver = store(2)
	for name, p := range map[string]command.EpochPreparation{
		"a driver that will not vote": bare,
		"an unknown store":            preparation(2, 1, 0, 0, 1, 9),
		"a store twice":               preparation(2, 1, 0, 0, 1, 1),
		"two stores":                  preparation(2, 1, 0, 0, 1),
		"no such group":               preparation(vstack.PlacementGroups, 1, 0, 0, 1, 2),
	} {
		t.Run(name, func(*testing.T) { d.refused(vstack.ErrInvalid, command.PrepareEpochs, prepare(p)) })
	}
	d.refused(vstack.ErrInvalid, command.PrepareEpochs, prepare())
	d.refused(vstack.ErrInvalid, command.ActivateEpochs, activate())
	d.refused(vstack.ErrInvalid, command.ActivateEpochs, activate(change(0, 1, 0))) // in force since the plan, by no attempt
	d.refused(vstack.ErrInvalid, command.ActivateEpochs, activate(change(vstack.PlacementGroups, 2, 1)))
	empty := &driver{t: t, c: newCatalog(t)}
	empty.must(command.RegisterStores, registration(0))
	empty.refused(vstack.ErrNotReady, command.PrepareEpochs, prepare(preparation(1, 1, 0, 0, 1, 2)))
	empty.refused(vstack.ErrNotReady, command.ActivateEpochs, activate(change(1, 2, 1)))
}

func TestAttemptsSurviveASnapshot(t *testing.T) {
	d := spare(t)
	d.must(command.PrepareEpochs, prepare(preparation(1, 1, 0, 0, 1, 3)))
	d.must(command.PrepareEpochs, prepare(preparation(1, 1, 1, 0, 1, 3)))
	d.must(command.SetLeaving, leave(2, vstack.LeaveOrdered, 3))
	again := &driver{t: t, c: newCatalog(t), index: d.index}
	if err := again.c.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if g := again.group(1); !reflect.DeepEqual(g, d.group(1)) || g.Next.Attempt != 2 {
		t.Fatalf("restored %+v", g.Next)
	}
	if s, _ := again.c.View().Store(store(2)); s.Leaving != vstack.LeaveOrdered || s.With != store(3) || !again.c.View().Frozen() {
		t.Fatalf("restored store %+v", s)
	}
	again.refused(vstack.ErrEpochStale, command.PrepareEpochs, prepare(preparation(1, 1, 0, 0, 1, 3)))
	if r := again.must(command.ActivateEpochs, activate(change(1, 2, 1))); len(r.Activated) != 0 {
		t.Fatal("an overtaken attempt is activated after a restore")
	}
}

func TestAnEpochChangeFreezesThePlacement(t *testing.T) {
	d := placed(t)
	d.must(command.RegisterStores, registration(3))
	d.must(command.PrepareEpochs, prepare(preparation(1, 1, 0, 0, 1, 3)))
	if !d.c.View().Frozen() {
		t.Error("the placement is not frozen")
	}
	d.refused(vstack.ErrAlreadyExists, command.AssignPlacement, command.AssignPlacementPayload{Base: d.c.View().PlacementVersion(), Groups: plan(4)})
}

func TestStoresLeaveUntilTheirLastRoleIsGone(t *testing.T) {
	d := spare(t)
	leaving := func(n int) vstack.Leave { s, _ := d.c.View().Store(store(n)); return s.Leaving }
	d.must(command.SetLeaving, leave(2, vstack.LeaveOrdered, 3))
	if m := d.c.View().Placement(); leaving(2) != vstack.LeaveOrdered || m.Version != d.index {
		t.Fatalf("leaving %q, version %d", leaving(2), m.Version)
	}
	d.must(command.SetLeaving, leave(3, vstack.LeaveOrdered, 0)) // a spare has nothing to give up
	if leaving(3) != "" {
		t.Error("a store without a role is leaving")
	}
	for pg := vstack.PG(0); pg < vstack.PlacementGroups; pg++ {
		if leaving(2) != vstack.LeaveOrdered {
			t.Fatalf("it stopped leaving with %d groups to go", vstack.PlacementGroups-pg)
		}
		d.must(command.PrepareEpochs, prepare(preparation(pg, 1, 0, 0, 1, 3)))
		d.must(command.ActivateEpochs, activate(change(pg, 2, 1)))
	}
	if s, _ := d.c.View().Store(store(2)); s.Leaving != "" || !s.With.IsZero() {
		t.Errorf("without a role it is still leaving: %+v", s)
	}
	if got := d.c.View().Placement(); got.Version != d.index {
		t.Error("the feed does not say so")
	}
}

func TestADeadStoreThatReturnsKeepsItsRoles(t *testing.T) {
	d := spare(t)
	leaving := func(n int) vstack.Leave { s, _ := d.c.View().Store(store(n)); return s.Leaving }
	state := func(n int, s vstack.StoreState) {
		d.must(command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(n), State: s}}})
	}
	dead := command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: store(1), Why: vstack.LeaveDead}}}
	d.must(command.SetLeaving, dead) // it came back between the judgement and the entry
	if leaving(1) != "" {
		t.Error("a store that is up is taken for dead")
	}
	state(1, vstack.StoreDown)
	d.must(command.SetLeaving, dead)
	if leaving(1) != vstack.LeaveDead {
		t.Errorf("leaving %q", leaving(1))
	}
	state(1, vstack.StoreSuspect)
	if leaving(1) != vstack.LeaveDead {
		t.Error("a suspicion is no sign of life")
	}
	state(1, vstack.StoreUp)
	if leaving(1) != "" {
		t.Error("it came back and is still leaving")
	}
	d.must(command.SetLeaving, leave(1, vstack.LeaveOrdered, 3))
	state(1, vstack.StoreDown)
	d.must(command.SetLeaving, dead)
	state(1, vstack.StoreUp)
	if s, _ := d.c.View().Store(store(1)); s.Leaving != vstack.LeaveOrdered || s.With != store(3) {
		t.Errorf("death and return ended an operator's order: %+v", s)
	}
	d.refused(vstack.ErrInvalid, command.SetLeaving, leave(0, vstack.LeaveOrdered, 1)) // 1 is leaving itself
	d.refused(vstack.ErrInvalid, command.SetLeaving, leave(0, vstack.LeaveOrdered, 0))
	d.refused(vstack.ErrInvalid, command.SetLeaving, leave(0, "bored", 3))
	d.refused(vstack.ErrInvalid, command.SetLeaving, leave(0, vstack.LeaveOrdered, 9))
	d.refused(vstack.ErrNotFound, command.SetLeaving, leave(9, vstack.LeaveOrdered, 3))
	d.refused(vstack.ErrInvalid, command.SetLeaving, command.SetLeavingPayload{})
}

// TestAttemptsOnlyGrow runs random commands and watches what acceptors rely on: of one
// group and epoch attempts only grow, and what is activated is the last issued.
func TestAttemptsOnlyGrow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := spare(t)
		old := d.c.View().Placement().Groups
		for range rapid.IntRange(1, 40).Draw(rt, "commands") {
			typ, payload := drawEpochCommand(rt, rapid.IntRange(0, 3).Draw(rt, "n"))
			res := d.do(typ, payload, "")
			for _, c := range res.Activated {
				was := old[c.PG]
				inForce := was.Epoch == c.Epoch && was.Attempt == c.Attempt
				if last := was.Next != nil && was.Next.Epoch == c.Epoch && was.Next.Attempt == c.Attempt; !last && !inForce {
					rt.Fatalf("activated %+v of %+v, next %+v", c, was, was.Next)
				}
			}
			groups := d.c.View().Placement().Groups
			for pg, g := range groups {
				was := old[pg]
				switch {
				case g.Epoch == was.Epoch:
					if g.Attempt != was.Attempt || !slices.Equal(g.Targets, was.Targets) {
						rt.Fatalf("group %d changed within epoch %d: %+v, then %+v", pg, g.Epoch, was, g)
					}
					if was.Next != nil && (g.Next == nil || g.Next.Epoch != g.Epoch+1 || g.Next.Attempt < was.Next.Attempt ||
						g.Next.Attempt == was.Next.Attempt && !reflect.DeepEqual(g.Next, was.Next)) {
						rt.Fatalf("group %d: attempt %+v, then %+v", pg, was.Next, g.Next)
					}
				case was.Next == nil || g.Epoch != was.Next.Epoch || g.Attempt != was.Next.Attempt || g.Next != nil || !slices.Equal(g.Targets, was.Next.Targets):
					rt.Fatalf("group %d: prepared %+v, activated %+v", pg, was.Next, g)
				}
			}
			old = groups
		}
	})
}
