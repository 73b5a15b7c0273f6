package reconfigure

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/placement"
)

func id(host, n int) vstack.StoreID { return vstack.StoreID{byte(host + 1), byte(n + 1), 9} }

// world is a catalog as far as epochs go, and a clock.
type world struct {
	t       testing.TB
	m       *vstack.PlacementMap
	wanted  map[vstack.StoreID]vstack.StoreID
	amnesia map[vstack.StoreID]Report
	claims  map[vstack.StoreID]Claims
	silent  map[vstack.StoreID]bool
	filled  *[vstack.PlacementGroups]bool // groups with chunks of published videos
	now     time.Time
	planner *Planner
	balance bool
	cold    *[vstack.PlacementGroups]bool // groups in which a video lies in fragments
}

// newWorld plans over some hosts and adds hosts of one spare store each.
func newWorld(t testing.TB, hosts, each, spares int) *world {
	w := &world{t: t, m: &vstack.PlacementMap{}, wanted: map[vstack.StoreID]vstack.StoreID{}, amnesia: map[vstack.StoreID]Report{}, now: time.Unix(1e9, 0)}
	var stores []placement.Store
	add := func(h, n int) {
		s := vstack.Store{ID: id(h, n), Host: vstack.HostID(fmt.Sprintf("h%d", h+1)), State: vstack.StoreUp}
		w.m.Stores = append(w.m.Stores, s)
		stores = append(stores, placement.Store{ID: s.ID, Host: s.Host})
	}
	for h := range hosts {
		for n := range each {
			add(h, n)
		}
	}
	plan, err := placement.Plan(stores)
	if err != nil {
		t.Fatal(err)
	}
	for _, targets := range plan {
		w.m.Groups = append(w.m.Groups, vstack.PGTargets{Epoch: 1, Targets: targets})
	}
	for h := range spares {
		add(hosts+h, 0)
	}
	w.lead()
	return w
}

// lead begins a leader's term.
func (w *world) lead() { w.planner = New(Config{Window: 16, AttemptTime: 10 * time.Second}) }

func (w *world) store(id vstack.StoreID) *vstack.Store {
	i := slices.IndexFunc(w.m.Stores, func(s vstack.Store) bool { return s.ID == id })
	return &w.m.Stores[i]
}

func (w *world) decide() Decision {
	d, err := w.planner.Decide(State{Map: w.m, Wanted: w.wanted, Amnesia: w.amnesia, Claims: w.claims, Silent: w.silent, Published: w.filled, Balance: w.balance, Fragmented: w.cold, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// look decides after some time and commits what was decided, as the catalog would.
func (w *world) look(after time.Duration) Decision {
	w.now = w.now.Add(after)
	d := w.decide()
	for _, c := range d.Changes {
		w.m.Version++
		g := &w.m.Groups[c.PG]
		issued := uint32(0)
		if g.Next != nil {
			issued = g.Next.Attempt
		}
		if g.Epoch != c.From || issued != c.After {
			w.t.Fatalf("group %d is at epoch %d, attempt %d; the change is %+v", c.PG, g.Epoch, issued, c)
		}
		g.Next = &vstack.NextEpoch{Epoch: g.Epoch + 1, Attempt: issued + 1, Targets: c.Targets, Driver: c.Driver}
		w.checkAttempt(*g)
	}
	if fresh := slices.ContainsFunc(d.Changes, func(c Change) bool { return c.After == 0 }); fresh {
		under := slices.DeleteFunc(w.preparing(), func(pg int) bool { return slices.Contains(d.Held.Groups, vstack.PG(pg)) })
		if len(under) > 16 {
			w.t.Fatalf("%d groups prepare at once", len(under))
		}
	}
	w.decide() // the commit wakes the planner, which sees the attempts then
	return d
}

// checkAttempt wants an attempt that can succeed.
func (w *world) checkAttempt(g vstack.PGTargets) {
	alive := func(ids []vstack.StoreID) (n int) {
		for _, id := range ids {
			if w.store(id).State != vstack.StoreDown {
				n++
			}
		}
		return n
	}
	if alive(g.Acceptors()) < 2 || alive(g.Next.Acceptors()) < 2 {
		w.t.Fatalf("an attempt without a majority: %+v, next %+v", g, g.Next)
	}
	if !slices.Contains(g.Next.Acceptors(), g.Next.Driver) || w.store(g.Next.Driver).State != vstack.StoreUp {
		w.t.Fatalf("driver %s of %+v cannot drive", g.Next.Driver, g.Next)
	}
}

func (w *world) preparing() (out []int) {
	for pg, g := range w.m.Groups {
		if g.Next != nil {
			out = append(out, pg)
		}
	}
	return out
}

// activate brings what is prepared into force, if its driver works.
func (w *world) activate() (n int) {
	for pg, g := range w.m.Groups {
		if g.Next != nil && w.store(g.Next.Driver).State == vstack.StoreUp {
			w.m.Groups[pg] = vstack.PGTargets{Epoch: g.Next.Epoch, Attempt: g.Next.Attempt, Targets: g.Next.Targets}
			w.m.Version++
			n++
		}
	}
	return n
}

// settle lets drivers work until nothing is to be done, and returns how many changes
// that took.
func (w *world) settle() (n int) {
	for range 200 {
		d := w.look(time.Second)
		done := w.activate()
		if n += done; done == 0 && len(d.Changes) == 0 {
			return n
		}
	}
	w.t.Fatal("changes never end")
	return 0
}

func (w *world) roles(id vstack.StoreID) (n int) {
	for _, g := range w.m.Groups {
		if g.Index(id) >= 0 {
			n++
		}
	}
	return n
}

func TestADeadStoresRolesMoveThroughAWindow(t *testing.T) {
	w := newWorld(t, 5, 1, 1)
	gone := id(0, 0)
	w.store(gone).State, w.store(gone).Leaving = vstack.StoreDown, vstack.LeaveDead
	roles := w.roles(gone)
	d := w.look(0)
	if len(d.Changes) != 16 || d.Changes[0].Reason != Dead || d.Changes[0].After != 0 {
		t.Fatalf("%d changes at first, %+v", len(d.Changes), d.Changes[0])
	}
	drivers := map[vstack.StoreID]int{}
	for _, c := range d.Changes {
		drivers[c.Driver]++
	}
	for s, n := range drivers {
		if n > 6 {
			t.Errorf("%s drives %d of 16", s, n)
		}
	}
	if d := w.look(time.Second); len(d.Changes) != 0 || d.Preparing != 16 || d.Oldest != time.Second {
		t.Fatalf("while they prepare: %+v", d)
	}
	if n := w.settle(); n != roles || w.roles(gone) != 0 || w.roles(id(5, 0)) != roles {
		t.Fatalf("%d changes for %d roles; it keeps %d, the spare has %d", n, roles, w.roles(gone), w.roles(id(5, 0)))
	}
}

func TestAnAttemptThatDoesNotEndIsOvertakenByAnotherDriver(t *testing.T) {
	w := newWorld(t, 4, 1, 0)
	w.store(id(0, 0)).Leaving = vstack.LeaveOrdered
	w.store(id(0, 0)).State = vstack.StoreUp
	w.wanted[id(0, 0)] = id(1, 0)
	d := w.look(0)
	if len(d.Changes) != 16 || d.Changes[0].Reason != Ordered {
		t.Fatalf("%+v", d.Changes)
	}
	first := w.m.Groups[d.Changes[0].PG].Next.Driver
	if d := w.look(9 * time.Second); len(d.Changes) != 0 {
		t.Fatalf("overtaken early: %+v", d.Changes)
	}
	d = w.look(time.Second)
	if len(d.Changes) != 16 || d.Changes[0].Reason != Overdue || d.Changes[0].After != 1 || d.Changes[0].Driver == first {
		t.Fatalf("after its time: %+v", d.Changes)
	}
	// Each gets twice the time of the one before: a busy cluster must not overtake itself.
	for attempt, want := range []time.Duration{20, 40, 80, 80, 80} {
		want *= time.Second
		if d := w.look(want - time.Second); len(d.Changes) != 0 {
			t.Fatalf("attempt %d is overtaken within %s", attempt+2, want)
		}
		if d := w.look(time.Second); len(d.Changes) != 16 {
			t.Fatalf("attempt %d is not overtaken after %s: %d changes", attempt+2, want, len(d.Changes))
		}
	}
	// A driver that is down is not waited for.
	down := w.m.Groups[d.Changes[0].PG].Next.Driver
	drives := 0
	for _, pg := range w.preparing() {
		if w.m.Groups[pg].Next.Driver == down {
			drives++
		}
	}
	w.store(down).State = vstack.StoreDown
	if d := w.look(time.Second); drives == 0 || len(d.Changes) < drives {
		t.Fatalf("a driver of %d is down: %d changes", drives, len(d.Changes))
	}
	if d := w.look(time.Second); len(d.Changes) != 0 {
		t.Fatalf("and again: %+v", d.Changes)
	}
}

func TestWhoeverIsGoneDrivesNoLonger(t *testing.T) {
	up, suspect, down := vstack.StoreUp, vstack.StoreSuspect, vstack.StoreDown
	for _, tc := range []struct {
		what     string
		driver   vstack.StoreState
		silent   bool
		after    time.Duration
		attempts int // that were overtaken before
		want     Reason
	}{
		{"there, its time not over", up, false, 9 * time.Second, 0, ""},
		{"there, its time over", up, false, 10 * time.Second, 0, Overdue},
		{"there, and a second attempt's time not over", up, false, 19 * time.Second, 1, ""},
		{"there, and a second attempt's time over", up, false, 20 * time.Second, 1, Overdue},
		{"suspect", suspect, false, 0, 0, Orphan},
		{"suspect in a late attempt", suspect, false, 0, 4, Orphan},
		{"down", down, false, 0, 0, Orphan},
		{"silent, and up as far as is committed", up, true, 0, 0, Orphan},
		{"silent and suspect", suspect, true, 0, 0, Orphan},
		{"silent when its time is over", up, true, time.Minute, 0, Orphan},
	} {
		t.Run(tc.what, func(t *testing.T) {
			w := newWorld(t, 4, 1, 0)
			w.store(id(0, 0)).Leaving, w.wanted[id(0, 0)] = vstack.LeaveOrdered, id(1, 0)
			w.look(0)
			for n := range tc.attempts {
				w.look(10 * time.Second << n)
			}
			driver := w.m.Groups[w.preparing()[0]].Next.Driver
			drives := map[vstack.PG]bool{}
			for _, pg := range w.preparing() {
				drives[vstack.PG(pg)] = w.m.Groups[pg].Next.Driver == driver
			}
			w.now = w.now.Add(tc.after)
			w.store(driver).State, w.silent = tc.driver, map[vstack.StoreID]bool{driver: tc.silent}
			overtaken := 0
			for _, c := range w.look(0).Changes {
				if !drives[c.PG] {
					continue
				}
				overtaken++
				if c.Reason != tc.want || c.Driver == driver {
					t.Fatalf("group %d: reason %q, want %q; driver %s after %s", c.PG, c.Reason, tc.want, c.Driver, driver)
				}
			}
			if all := len(slices.DeleteFunc(w.preparing(), func(pg int) bool { return !drives[vstack.PG(pg)] })); overtaken != all && tc.want != "" || overtaken > 0 && tc.want == "" {
				t.Errorf("%d of its %d attempts are overtaken, reason wanted: %q", overtaken, all, tc.want)
			}
			// Once is enough: the next driver has its whole time.
			if d := w.look(0); len(d.Changes) != 0 {
				t.Errorf("%d more are overtaken at once", len(d.Changes))
			}
		})
	}
}

func TestNobodyDrivesWhenAllAreSilent(t *testing.T) {
	w := newWorld(t, 4, 1, 0)
	w.store(id(0, 0)).Leaving, w.wanted[id(0, 0)] = vstack.LeaveOrdered, id(1, 0)
	w.look(0)
	w.silent = map[vstack.StoreID]bool{}
	for _, s := range w.m.Stores {
		w.silent[s.ID] = true
	}
	if d := w.look(time.Minute); len(d.Changes) != 0 {
		t.Fatalf("%d attempts for drivers that nobody hears", len(d.Changes))
	}
	clear(w.silent)
	if d := w.look(time.Minute); len(d.Changes) != 16 || d.Changes[0].Reason != Overdue {
		t.Fatalf("when they are heard again: %+v", d.Changes)
	}
}

func TestANewLeaderGoesOnWithWhatIsPrepared(t *testing.T) {
	w := newWorld(t, 5, 1, 1)
	w.store(id(0, 0)).State, w.store(id(0, 0)).Leaving = vstack.StoreDown, vstack.LeaveDead
	w.look(0)
	w.now = w.now.Add(9 * time.Second)
	w.lead()
	if d := w.look(0); len(d.Changes) != 0 || d.Preparing != 16 {
		t.Fatalf("a new leader does not know for how long they are out: %+v", d)
	}
	if d := w.look(10 * time.Second); len(d.Changes) != 16 || d.Changes[0].After != 1 {
		t.Fatalf("after its own time: %+v", d)
	}
	w.settle()
	if w.roles(id(0, 0)) != 0 {
		t.Error("it keeps roles")
	}
}

func TestAnAmnesicStoreKeepsItsPlaceInTheNextEpoch(t *testing.T) {
	w := newWorld(t, 3, 2, 0)
	forgot := id(1, 0)
	var groups []vstack.PG
	for pg, g := range w.m.Groups {
		if slices.Contains(g.Acceptors(), forgot) && len(groups) < 5 {
			groups = append(groups, vstack.PG(pg))
		}
	}
	w.look(0)
	w.now = w.now.Add(time.Minute)
	w.amnesia[forgot] = Report{groups, w.now}
	d := w.look(0)
	if len(d.Changes) != 5 {
		t.Fatalf("%+v", d)
	}
	for _, c := range d.Changes {
		if c.Reason != Amnesic || !slices.Equal(c.Targets, w.m.Groups[c.PG].Targets) || c.Driver == forgot {
			t.Errorf("%+v", c)
		}
	}
	w.activate()
	w.decide()
	w.amnesia[forgot] = Report{groups, w.now.Add(time.Second)} // sent before it heard of the epoch
	if d := w.look(time.Second); len(d.Changes) != 0 {
		t.Fatalf("an old report counts for the new epoch: %+v", d)
	}
	w.amnesia[forgot] = Report{groups[:1], w.now.Add(5 * time.Second)} // it forgot again
	if d := w.look(5 * time.Second); len(d.Changes) != 1 || d.Changes[0].From != 2 {
		t.Fatalf("a new report: %+v", d)
	}
	// With a second acceptor lost nobody can tell what it forgot: the group waits.
	w.activate()
	w.decide()
	w.amnesia[forgot] = Report{groups[:1], w.now.Add(time.Minute)}
	for _, a := range w.m.Groups[groups[0]].Acceptors() {
		if a != forgot {
			w.store(a).State = vstack.StoreDown
			break
		}
	}
	if d := w.look(time.Minute); len(d.Changes) != 0 || !slices.Equal(d.Held.Groups, groups[:1]) {
		t.Fatalf("without a majority: %+v", d)
	}
}

func TestALostHostOfThreeIsHeldAndDoesNotFlap(t *testing.T) {
	w := newWorld(t, 3, 2, 0)
	for n := range 2 {
		w.store(id(0, n)).State, w.store(id(0, n)).Leaving = vstack.StoreDown, vstack.LeaveDead
	}
	w.settle()
	votes := 0
	for pg, g := range w.m.Groups {
		hosts := map[vstack.HostID]bool{}
		for _, a := range g.Acceptors() {
			hosts[w.store(a).Host] = true
			if w.store(a).Leaving != "" {
				votes++
			}
		}
		if len(hosts) != 3 {
			t.Fatalf("group %d: acceptors on %d hosts", pg, len(hosts))
		}
	}
	d := w.look(time.Minute)
	if votes != vstack.PlacementGroups || len(d.Changes) != 0 || d.Held.Roles[id(0, 0)]+d.Held.Roles[id(0, 1)] < vstack.PlacementGroups {
		t.Fatalf("%d votes, then %+v", votes, d)
	}
	for n := range 2 { // it comes back
		w.store(id(0, n)).State, w.store(id(0, n)).Leaving = vstack.StoreUp, ""
	}
	if d := w.look(time.Minute); len(d.Changes) != 0 || len(d.Held.Roles) != 0 {
		t.Fatalf("after its return: %+v", d)
	}
}

func TestTwoLostStoresHoldOnlyTheGroupsThatNeedBoth(t *testing.T) {
	w := newWorld(t, 5, 1, 3)
	for h := range 2 {
		w.store(id(h, 0)).State, w.store(id(h, 0)).Leaving = vstack.StoreDown, vstack.LeaveDead
	}
	w.settle()
	held := w.look(time.Second).Held.Groups
	if len(held) == 0 || len(held) == vstack.PlacementGroups {
		t.Fatalf("%d groups are held: the scenario shows nothing", len(held))
	}
	for pg, g := range w.m.Groups {
		both := slices.Contains(g.Acceptors(), id(0, 0)) && slices.Contains(g.Acceptors(), id(1, 0))
		if both != slices.Contains(held, vstack.PG(pg)) {
			t.Errorf("group %d: acceptors %v, held %v", pg, g.Acceptors(), !both)
		}
		if !both && (g.Index(id(0, 0)) >= 0 || g.Index(id(1, 0)) >= 0) {
			t.Errorf("group %d still has %v", pg, g.Targets)
		}
	}
	w.store(id(1, 0)).State, w.store(id(1, 0)).Leaving = vstack.StoreUp, "" // one comes back, with its votes
	w.settle()
	if w.roles(id(0, 0)) != 0 {
		t.Errorf("the other keeps %d roles", w.roles(id(0, 0)))
	}
}

func TestANewcomerThatDiesMakesRoomForAnother(t *testing.T) {
	w := newWorld(t, 5, 1, 2)
	w.store(id(0, 0)).State, w.store(id(0, 0)).Leaving = vstack.StoreDown, vstack.LeaveDead
	w.wanted[id(0, 0)] = id(5, 0)
	w.look(0)
	w.store(id(5, 0)).State = vstack.StoreDown
	w.look(20 * time.Second)
	w.settle()
	if w.roles(id(0, 0)) != 0 || w.roles(id(5, 0)) != 0 || w.roles(id(6, 0)) == 0 {
		t.Errorf("roles: lost %d, newcomer that died %d, the other %d", w.roles(id(0, 0)), w.roles(id(5, 0)), w.roles(id(6, 0)))
	}
	// With no other, the group goes on with whom it has: it must not stay sealed.
	w = newWorld(t, 5, 1, 1)
	w.store(id(0, 0)).State, w.store(id(0, 0)).Leaving = vstack.StoreUp, vstack.LeaveOrdered
	w.look(0)
	w.store(id(5, 0)).State = vstack.StoreDown
	w.look(20 * time.Second)
	w.settle()
	if n := len(w.preparing()); n != 0 {
		t.Errorf("%d groups are still prepared", n)
	}
}

// survey has every store look at what it should hold, and lack nothing but what is named.
func (w *world) survey(lacking map[vstack.StoreID][]vstack.PG) {
	w.claims = map[vstack.StoreID]Claims{}
	for _, s := range w.m.Stores {
		w.claims[s.ID] = Claims{}
		for pg, g := range w.m.Groups {
			c := Claim{Epoch: g.Epoch, Complete: w.m.Version + 1, Surveyed: w.m.Version + 1}
			if slices.Contains(lacking[s.ID], vstack.PG(pg)) {
				c.Complete = 0
			}
			w.claims[s.ID][vstack.PG(pg)] = c
		}
	}
}

func TestAnOrderWaitsForTheCopiesOfThoseWhoStay(t *testing.T) {
	w := newWorld(t, 5, 1, 1)
	w.filled = &[vstack.PlacementGroups]bool{}
	for pg := range 100 {
		w.filled[pg] = true
	}
	gone, kept := id(0, 0), id(1, 0)
	w.store(gone).Leaving = vstack.LeaveOrdered
	w.settle()
	for pg, g := range w.m.Groups {
		if moved := g.Index(gone) < 0; moved != (pg >= 100) {
			t.Fatalf("group %d: moved %v before anybody said what it lacks", pg, moved)
		}
	}
	w.survey(map[vstack.StoreID][]vstack.PG{kept: {3, 4}, gone: {5}})
	stale := w.claims
	w.settle()
	for pg, g := range w.m.Groups {
		if moved := g.Index(gone) < 0; moved != (pg != 3 && pg != 4) {
			t.Fatalf("group %d: moved %v while a store that stays lacks chunks of 3 and 4", pg, moved)
		}
	}
	// What was said before an epoch began counts for nothing in it.
	w.store(id(2, 0)).Leaving = vstack.LeaveOrdered
	w.survey(nil)
	w.settle() // finishes the first order, in epoch 2 or 3 of each group
	if w.roles(gone) != 0 {
		t.Fatalf("the first keeps %d roles", w.roles(gone))
	}
	w.store(gone).Leaving = ""
	w.claims = stale
	w.settle()
	if n := w.roles(id(2, 0)); n != 100 {
		t.Fatalf("it keeps %d roles on old words, want all 100 of groups that hold something", n)
	}
	if d := w.look(time.Second); len(d.Held.Copies) == 0 {
		t.Error("nobody is told")
	}
	// A view that is being read says nothing, whatever it does not lack.
	w.survey(nil)
	for _, claims := range w.claims {
		for pg, c := range claims {
			c.Complete, c.Surveyed = 0, 0
			claims[pg] = c
		}
	}
	w.settle()
	if n := w.roles(id(2, 0)); n != 100 {
		t.Fatalf("it keeps %d roles while the views of those who stay are read, want all 100", n)
	}
	w.survey(nil)
	w.settle()
	if n := w.roles(id(2, 0)); n != 0 {
		t.Errorf("it keeps %d roles", n)
	}
}

// TestAnOrderForAStoreThatIsDownWaitsForNoCopy: two stores that were to leave and died
// would wait for each other for ever, where they share a group.
func TestAnOrderForAStoreThatIsDownWaitsForNoCopy(t *testing.T) {
	w := newWorld(t, 5, 1, 2)
	w.filled = &[vstack.PlacementGroups]bool{}
	for pg := range w.filled {
		w.filled[pg] = true
	}
	gone := []vstack.StoreID{id(0, 0), id(1, 0)}
	for _, id := range gone {
		w.store(id).Leaving = vstack.LeaveOrdered
	}
	w.survey(nil)
	for _, id := range gone {
		w.store(id).State = vstack.StoreDown
		delete(w.claims, id)
	}
	w.settle()
	for pg, g := range w.m.Groups {
		up := 0
		for _, id := range g.Acceptors() {
			if w.store(id).State == vstack.StoreUp {
				up++
			}
		}
		if up < vstack.Majority {
			continue // it waits for a return
		}
		if g.Index(gone[0]) >= 0 || g.Index(gone[1]) >= 0 {
			t.Fatalf("group %d still waits for a copy of a store that is down: %v", pg, g.Targets)
		}
	}
}

func TestTwoOrdersNeverTakeTwoCopiesOfAGroupAtOnce(t *testing.T) {
	w := newWorld(t, 5, 1, 3)
	for h := range 2 {
		w.store(id(h, 0)).Leaving = vstack.LeaveOrdered
	}
	for range 100 {
		w.look(time.Second)
		for pg, g := range w.m.Groups {
			if g.Next == nil {
				continue
			}
			if lost := slices.DeleteFunc(slices.Clone(g.Acceptors()), func(s vstack.StoreID) bool { return slices.Contains(g.Next.Targets, s) }); len(lost) > 1 {
				t.Fatalf("group %d loses %d acceptors at once", pg, len(lost))
			}
		}
		w.activate()
	}
	if n := w.roles(id(0, 0)) + w.roles(id(1, 0)); n != 0 {
		t.Errorf("they keep %d roles", n)
	}
}

func TestMovableCountsBeforeAnOrderIsTaken(t *testing.T) {
	w := newWorld(t, 3, 1, 0)
	s := func() State { return State{Map: w.m, Wanted: w.wanted, Now: w.now} }
	if roles, n, err := Movable(s(), vstack.StoreID{}, id(0, 0)); err != nil || roles != vstack.PlacementGroups || n != 0 {
		t.Fatalf("three stores: %d of %d, %v", n, roles, err)
	}
	w = newWorld(t, 3, 1, 1)
	if roles, n, err := Movable(s(), id(3, 0), id(0, 0)); err != nil || roles != vstack.PlacementGroups || n != roles {
		t.Fatalf("with a spare: %d of %d, %v", n, roles, err)
	}
	if roles, n, err := Movable(s(), vstack.StoreID{}, id(3, 0)); err != nil || roles != 0 || n != 0 {
		t.Fatalf("the spare itself: %d of %d, %v", n, roles, err)
	}
}

// TestChangesEndWhateverHappens lets stores die, return, forget and be replaced, and
// leaders change, and then wants everything to come to rest once all are up.
func TestChangesEndWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rapid.IntRange(3, 6).Draw(rt, "hosts"), rapid.IntRange(1, 2).Draw(rt, "each"), rapid.IntRange(0, 2).Draw(rt, "spares"))
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			s := &w.m.Stores[rapid.IntRange(0, len(w.m.Stores)-1).Draw(rt, "store")]
			switch rapid.IntRange(0, 8).Draw(rt, "event") {
			case 0:
				s.State = vstack.StoreDown
			case 1:
				if s.State == vstack.StoreDown {
					s.Leaving = vstack.LeaveDead
				}
			case 2, 3:
				if s.State = vstack.StoreUp; s.Leaving == vstack.LeaveDead {
					s.Leaving = ""
				}
			case 4:
				s.Leaving = vstack.LeaveOrdered
			case 5:
				w.amnesia[s.ID] = Report{[]vstack.PG{vstack.PG(rapid.IntRange(0, 127).Draw(rt, "group"))}, w.now}
			case 6:
				w.lead()
			default:
				w.activate()
			}
			w.look(rapid.SampledFrom([]time.Duration{0, time.Second, 11 * time.Second, 2 * time.Minute}).Draw(rt, "after"))
		}
		clear(w.amnesia)
		for i := range w.m.Stores {
			if s := &w.m.Stores[i]; s.State == vstack.StoreDown {
				s.State = vstack.StoreUp
			}
			if s := &w.m.Stores[i]; s.Leaving == vstack.LeaveDead {
				s.Leaving = ""
			}
		}
		w.look(2 * time.Minute)
		w.settle()
		if n := w.preparing(); len(n) != 0 {
			rt.Fatalf("groups %v never end", n)
		}
		d := w.look(time.Second)
		for _, s := range w.m.Stores {
			if s.Leaving != "" && w.roles(s.ID) != d.Held.Roles[s.ID] {
				rt.Fatalf("leaving %s has %d roles, %d of them held", s.ID, w.roles(s.ID), d.Held.Roles[s.ID])
			}
		}
	})
}
