package metastore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// node is a host as the metastore sees it: it sends heartbeats, and drives the attempts
// that name its stores as far as asking for the activation.
type node struct {
	host int
	cl   *metaclient.Client

	mu      sync.Mutex
	silent  map[vstack.StoreID]bool
	amnesic map[vstack.StoreID][]vstack.PG
	lacking map[vstack.StoreID][]vstack.PG
	blind   bool // has not looked at what it should hold
	// placement is the map that the host has read last.
	placement *vstack.PlacementMap
	level     vstack.Level // that its program knows
	lazy      bool         // drives nothing
	beats     int          // heartbeats that were made
	told      int          // the last of them that was answered
}

// node starts a host; it ends with ctx.
func (c *cluster) node(ctx context.Context, host int, lazy bool) *node {
	id := c.issue(identity.Spec{ID: string(heartbeatOf(host, 1).Host), Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
	n := &node{host: host, cl: c.clientAs(id), silent: map[vstack.StoreID]bool{}, amnesic: map[vstack.StoreID][]vstack.PG{}, lacking: map[vstack.StoreID][]vstack.PG{}, lazy: lazy}
	var wg sync.WaitGroup
	c.t.Cleanup(wg.Wait)
	every := func(d time.Duration, do func()) {
		wg.Go(func() {
			for ctx.Err() == nil {
				do()
				select {
				case <-ctx.Done():
				case <-time.After(d):
				}
			}
		})
	}
	every(100*time.Millisecond, func() { // the next one is near
		hb, made := n.report()
		if _, err := n.cl.Heartbeat(ctx, hb); err == nil {
			n.set(func() { n.told = made })
		}
	})
	every(50*time.Millisecond, func() { n.drive(ctx) }) // a whole map each time
	return n
}

func (n *node) report() (wire.Heartbeat, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	hb := heartbeatOf(n.host, 1)
	hb.Level = n.level
	hb.Stores = slices.DeleteFunc(hb.Stores, func(r wire.StoreReport) bool { return n.silent[r.ID] })
	for i := range hb.Stores {
		r := &hb.Stores[i]
		r.Amnesic = n.amnesic[r.ID]
		if !n.blind && n.placement.Ready() {
			r.Claims = n.claims(r.ID)
		}
	}
	n.beats++
	return hb, n.beats
}

// claims are those of a store that lacks nothing but what the test says, as of the map that
// its host has read.
func (n *node) claims(id vstack.StoreID) (out []wire.GroupClaim) {
	for pg, g := range n.placement.Groups {
		c := wire.GroupClaim{PG: vstack.PG(pg), Epoch: g.Epoch, Complete: n.placement.Version, Surveyed: n.placement.Version}
		if slices.Contains(n.lacking[id], c.PG) {
			c.Complete = 0
		}
		out = append(out, c)
	}
	return out
}

// tell changes what a host reports and returns once the cluster has heard it: a heartbeat
// that was made before may still be under way.
func (n *node) tell(c *cluster, change func()) {
	var before int
	n.set(func() { change(); before = n.beats })
	c.eventually("the change to be told", func() (told bool) {
		n.set(func() { told = n.told > before })
		return told
	})
}

func (n *node) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *node) drive(ctx context.Context) {
	n.mu.Lock()
	lazy := n.lazy
	n.mu.Unlock()
	m, err := n.cl.RefreshPlacement(ctx)
	if err != nil {
		return
	}
	n.set(func() { n.placement = m })
	if lazy {
		return
	}
	if own := n.attempts(m); len(own) > 0 {
		_, _ = n.cl.ActivateEpochs(ctx, own) // refused or lost: the next map says what is left
	}
}

// attempts are those that name a store of this host as their driver.
func (n *node) attempts(m *vstack.PlacementMap) (own []wire.EpochChange) {
	for pg, g := range m.Groups {
		if g.Next == nil {
			continue
		}
		if s, _ := m.Store(g.Next.Driver); s.Host == heartbeatOf(n.host, 1).Host {
			own = append(own, wire.EpochChange{PG: vstack.PG(pg), Epoch: g.Next.Epoch, Attempt: g.Next.Attempt})
		}
	}
	return own
}

// frozen is a cluster with an upload and nodes on some hosts of two stores each.
func frozen(t *testing.T, hosts int, lazy bool, adjust func(*Config)) (*cluster, []*node) {
	t.Helper()
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.AttemptTime = 500 * time.Millisecond
		calm(cfg)
		// Who is silent because the machine is busy is not lost.
		cfg.SuspectAfter, cfg.DownAfter = time.Minute, 2*time.Minute
		if adjust != nil {
			adjust(cfg)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel) // before the nodes' own clean-up, which waits for them
	c.register()
	c.open()
	var nodes []*node
	for h := range hosts {
		nodes = append(nodes, c.node(ctx, h, lazy))
	}
	c.t.Cleanup(cancel)
	c.eventually("every store up", func() bool {
		m := c.placement()
		return len(m.Stores) == 2*hosts && states(m)[vstack.StoreUp] == 2*hosts
	})
	return c, nodes
}

// calm is for tests in which a new leader, who has heard nobody yet, answers otherwise or counts
// silence anew: on a busy machine there should not be many.
func calm(cfg *Config) {
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaseTimeout = time.Second, time.Second, 800*time.Millisecond
}

// losing is for tests in which stores fall silent.
func losing(cfg *Config) {
	cfg.SuspectAfter, cfg.DownAfter, cfg.DeadAfter = 2*time.Second, 2500*time.Millisecond, 3*time.Second
}

// replace orders a store away. One that is wanted instead may be suspect for a moment where
// a short silence is enough for that; it is asked for again, as a person would.
func (c *cluster) replace(gone, with vstack.StoreID) (reply wire.ReplaceStoreReply) {
	c.t.Helper()
	c.eventually("the order to be taken", func() bool {
		var err error
		reply, err = c.client().ReplaceStore(c.t.Context(), gone, with)
		return err == nil
	})
	return reply
}

// open opens an upload, which freezes the placement and wakes every duty.
func (c *cluster) open() {
	c.t.Helper()
	cl := c.client()
	c.eventually("an upload", func() bool { // an election is no reason to fail
		_, err := cl.OpenUpload(c.t.Context(), wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource("a")})
		return err == nil
	})
}

// placement is what the member says that has applied most.
func (c *cluster) placement() *vstack.PlacementMap {
	var newest *vstack.PlacementMap
	for _, m := range c.members {
		if m == nil {
			continue
		}
		if p := m.catalog.View().Placement(); newest == nil || p.Version > newest.Version {
			newest = p
		}
	}
	return newest
}

func rolesOf(m *vstack.PlacementMap, id vstack.StoreID) (n int) {
	for _, g := range m.Groups {
		if g.Index(id) >= 0 {
			n++
		}
	}
	return n
}

func preparing(m *vstack.PlacementMap) (n int) {
	for _, g := range m.Groups {
		if g.Next != nil {
			n++
		}
	}
	return n
}

// spread wants three hosts under the acceptors of each group.
func spread(t *testing.T, m *vstack.PlacementMap) {
	t.Helper()
	for pg, g := range m.Groups {
		hosts := map[vstack.HostID]bool{}
		for _, id := range g.Acceptors() {
			s, _ := m.Store(id)
			hosts[s.Host] = true
		}
		if len(hosts) != 3 {
			t.Errorf("group %d: acceptors on %d hosts", pg, len(hosts))
		}
	}
}

func TestAnOrderedReplacementMovesEveryRole(t *testing.T) {
	t.Parallel()
	c, _ := frozen(t, 4, false, nil)
	gone, with := storeID(0, 0), storeID(3, 1)
	before := c.placement()
	if reply := c.replace(gone, with); reply.Groups != rolesOf(before, gone) || reply.Index == 0 {
		t.Fatalf("%+v", reply)
	}
	var m *vstack.PlacementMap
	c.eventually("the roles to have moved", func() bool {
		m = c.placement()
		if n := preparing(m); n > epochWindow {
			t.Errorf("%d groups prepare at once", n)
		}
		return rolesOf(m, gone) == 0 && preparing(m) == 0
	})
	if n := rolesOf(m, with); n != rolesOf(before, gone) {
		t.Errorf("the wanted store took %d of %d roles", n, rolesOf(before, gone))
	}
	if s, _ := m.Store(gone); s.Leaving != "" || s.State != vstack.StoreUp {
		t.Errorf("the store that left: %+v", s)
	}
	spread(t, m)
	for pg, g := range m.Groups {
		if had := before.Groups[pg].Index(gone) >= 0; had != (g.Epoch == before.Groups[pg].Epoch+1 && g.Attempt > 0) {
			t.Errorf("group %d: epoch %d, attempt %d, had it %v", pg, g.Epoch, g.Attempt, had)
		}
	}
	// It is a spare again.
	if reply := c.replace(with, gone); reply.Groups == 0 {
		t.Fatalf("back: %+v", reply)
	}
	c.eventually("the roles to have come back", func() bool {
		m = c.placement()
		return rolesOf(m, with) == 0 && preparing(m) == 0 && rolesOf(m, gone) > 0
	})
}

func TestAnOrderWaitsUntilThoseWhoStayHaveEverything(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, false, nil)
	for _, n := range nodes {
		n.tell(c, func() { n.blind = true })
	}
	v, _, err := publish(t.Context(), c.client(), "published", 60)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := c.client().Manifest(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	filled := map[vstack.PG]bool{}
	for slot := range manifest.Slots {
		filled[slot.PG()] = true
	}
	gone := storeID(0, 0)
	c.replace(gone, vstack.StoreID{})
	stays := func(m *vstack.PlacementMap) (full, empty []vstack.PG) {
		for pg, g := range m.Groups {
			if g.Index(gone) < 0 {
				continue
			}
			if filled[vstack.PG(pg)] {
				full = append(full, vstack.PG(pg))
			} else {
				empty = append(empty, vstack.PG(pg))
			}
		}
		return full, empty
	}
	before, _ := stays(c.placement())
	c.eventually("the groups that hold nothing to have moved", func() bool { _, empty := stays(c.placement()); return len(empty) == 0 })
	if full, _ := stays(c.placement()); len(full) != len(before) || len(full) < 5 {
		t.Fatalf("%d of %d groups that hold chunks were moved before anybody said what it lacks", len(before)-len(full), len(before))
	}
	// One store that stays lacks chunks of one group: that group alone waits.
	late := before[0]
	for _, n := range nodes {
		n.set(func() {
			n.blind = false
			for i := range 2 {
				n.lacking[storeID(n.host, i)] = []vstack.PG{late}
			}
		})
	}
	c.eventually("all but that group to have moved", func() bool { full, _ := stays(c.placement()); return slices.Equal(full, []vstack.PG{late}) })
	for _, n := range nodes {
		n.set(func() { clear(n.lacking) })
	}
	c.eventually("the last group to have moved", func() bool { return rolesOf(c.placement(), gone) == 0 })
}

func TestAnOvertakenAttemptIsRefused(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, true, nil)
	c.replace(storeID(0, 0), vstack.StoreID{})
	var second wire.EpochChange
	cl := nodes[1].cl
	var reply wire.ActivateReply
	// Nobody drives: the leader asks another, and another, also while the activation is on
	// its way.
	c.eventually("a later attempt to be activated, and the one before it to be refused", func() bool {
		m := c.placement()
		pg := slices.IndexFunc(m.Groups, func(g vstack.PGTargets) bool { return g.Next != nil && g.Next.Attempt > 1 })
		if pg < 0 {
			return false
		}
		next := m.Groups[pg].Next
		second = wire.EpochChange{PG: vstack.PG(pg), Epoch: next.Epoch, Attempt: next.Attempt}
		first := second
		first.Attempt--
		var err error
		if reply, err = cl.ActivateEpochs(t.Context(), []wire.EpochChange{first, second}); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(reply.Refused, first) {
			t.Fatalf("an attempt that was overtaken: %+v", reply)
		}
		return slices.Equal(reply.Activated, []wire.EpochChange{second})
	})
	if again, err := cl.ActivateEpochs(t.Context(), []wire.EpochChange{second}); err != nil || !slices.Equal(again.Activated, reply.Activated) {
		t.Fatalf("again: %+v, %v", again, err)
	}
	if g := c.placement().Groups[second.PG]; g.Epoch != second.Epoch || g.Attempt != second.Attempt || g.Next != nil {
		t.Fatalf("group %+v", g)
	}
}

// replaceUnderDeath has a driver die, alone or with the leader. An attempt has an hour here,
// and a silent store is not down for as long.
func replaceUnderDeath(t *testing.T, leader bool) {
	c, nodes := frozen(t, 4, true, func(cfg *Config) {
		cfg.AttemptTime, cfg.SuspectAfter, cfg.DownAfter = time.Hour, 2*time.Second, time.Hour
	})
	c.replace(storeID(1, 1), storeID(3, 0))
	driven := func(host int) (n int) { return len(nodes[host].attempts(c.placement())) }
	c.eventually("attempts for a driver on h1", func() bool { return driven(0) > 0 })
	for _, n := range nodes[1:] {
		n.set(func() { n.lazy = false })
	}
	c.eventually("those of the others to be done", func() bool { return driven(0) > 0 && driven(0) == preparing(c.placement()) })
	if leader {
		c.stop(c.leader())
	}
	orphans := driven(0)
	nodes[0].set(func() { nodes[0].silent[storeID(0, 0)], nodes[0].silent[storeID(0, 1)] = true, true })
	died := time.Now()
	c.eventually("the roles to have moved", func() bool {
		m := c.placement()
		return rolesOf(m, storeID(1, 1)) == 0 && preparing(m) == 0
	})
	t.Logf("%d attempts of a dead driver, and what waited behind them, were done %s after its last word", orphans, time.Since(died).Round(10*time.Millisecond))
}

func TestADeadDriverIsReplacedByAnother(t *testing.T) {
	t.Parallel()
	replaceUnderDeath(t, false)
}

func TestADriverThatDiesWithTheLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	replaceUnderDeath(t, true)
}

func TestADriverThatDoesNothingIsReplacedByAnother(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, true, nil)
	for _, n := range nodes[1:] {
		n.set(func() { n.lazy = false })
	}
	// Host h1 neither drives nor dies: its attempts go to others, after their time.
	c.replace(storeID(1, 1), storeID(3, 0))
	c.eventually("the roles to have moved", func() bool {
		m := c.placement()
		return rolesOf(m, storeID(1, 1)) == 0 && preparing(m) == 0
	})
	late := 0
	for _, g := range c.placement().Groups {
		if g.Attempt > 1 {
			late++
		}
	}
	if late == 0 {
		t.Error("no group needed a second attempt: the test shows nothing")
	}
}

func TestALostStoreIsReplacedAndComesBackAsASpare(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, false, losing)
	lost := storeID(2, 1)
	roles := rolesOf(c.placement(), lost)
	nodes[2].set(func() { nodes[2].silent[lost] = true })
	since := time.Now()
	c.eventually("the roles to have moved", func() bool {
		m := c.placement()
		if s, _ := m.Store(lost); s.Leaving != "" && (s.Leaving != vstack.LeaveDead || time.Since(since) < 2800*time.Millisecond) {
			t.Fatalf("leaving %q after %s", s.Leaving, time.Since(since))
		}
		return rolesOf(m, lost) == 0 && preparing(m) == 0
	})
	m := c.placement()
	spread(t, m)
	if s, _ := m.Store(lost); s.State != vstack.StoreDown || s.Leaving != "" || roles == 0 {
		t.Errorf("the lost store: %+v, had %d roles", s, roles)
	}
	nodes[2].set(func() { nodes[2].silent[lost] = false })
	c.eventually("its return", func() bool { s, _ := c.placement().Store(lost); return s.State == vstack.StoreUp })
	if n := rolesOf(c.placement(), lost); n != 0 {
		t.Errorf("it came back to %d roles", n)
	}
	if reply := c.replace(storeID(0, 0), lost); reply.Groups == 0 {
		t.Fatalf("as a spare: %+v", reply)
	}
	c.eventually("it to take roles", func() bool { m := c.placement(); return rolesOf(m, lost) > 0 && rolesOf(m, storeID(0, 0)) == 0 })
}

func TestAStoreThatIsGoneForLongIsRemovedByItself(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, false, func(cfg *Config) { losing(cfg); cfg.RemoveAfter = 6 * time.Second })
	for _, n := range nodes {
		n.set(func() { n.level = vstack.NewestLevel })
	}
	c.eventually("the newest level", func() bool { _, err := c.client().RaiseLevel(t.Context(), vstack.NewestLevel); return err == nil })
	lost, since := storeID(2, 1), time.Now()
	nodes[2].set(func() { nodes[2].silent[lost] = true })
	c.eventually("it to be removed", func() bool {
		m := c.placement()
		_, listed := m.Store(lost)
		if !listed && (rolesOf(m, lost) > 0 || time.Since(since) < 5*time.Second) {
			t.Fatalf("removed after %s, with %d roles", time.Since(since), rolesOf(m, lost))
		}
		return !listed
	})
	nodes[2].set(func() { nodes[2].silent[lost] = false })
	c.eventually("its return", func() bool { s, _ := c.placement().Store(lost); return s.State == vstack.StoreUp })
}

func TestALostHostOfThreeKeepsItsVotesUntilItReturns(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 3, false, losing)
	before := c.placement()
	nodes[2].set(func() { nodes[2].silent[storeID(2, 0)], nodes[2].silent[storeID(2, 1)] = true, true })
	leaving := func(m *vstack.PlacementMap) (n int) {
		for _, s := range m.Stores {
			if s.Leaving == vstack.LeaveDead {
				n++
			}
		}
		return n
	}
	var m *vstack.PlacementMap
	c.eventually("both to be taken for lost, and what can move to have moved", func() bool {
		m = c.placement()
		return leaving(m) == 2 && preparing(m) == 0 && rolesOf(m, storeID(2, 0))+rolesOf(m, storeID(2, 1)) == vstack.PlacementGroups
	})
	for pg, g := range m.Groups {
		if !slices.Equal(g.Acceptors(), before.Groups[pg].Acceptors()) {
			t.Fatalf("group %d: acceptors %v became %v", pg, before.Groups[pg].Acceptors(), g.Acceptors())
		}
	}
	lead := c.members[c.leader()]
	c.eventually("the readiness page to say so", func() bool {
		return strings.Contains(readiness(lead), "128 roles of leaving stores have no taker")
	})
	for range 20 { // each commit wakes the duty, which must find nothing to do
		c.open()
	}
	if now := c.placement(); !reflect.DeepEqual(now.Groups, m.Groups) {
		t.Fatalf("the groups move to and fro: %d prepare", preparing(now))
	}
	if _, err := c.client().ReplaceStore(t.Context(), storeID(2, 0), vstack.StoreID{}); !errors.Is(err, vstack.ErrNotReady) {
		t.Errorf("an order that nobody can carry out: %v", err)
	}
	nodes[2].set(func() { clear(nodes[2].silent) })
	c.eventually("its return", func() bool { m = c.placement(); return leaving(m) == 0 && states(m)[vstack.StoreUp] == 6 })
	if preparing(m) != 0 {
		t.Errorf("%d groups prepare after its return", preparing(m))
	}
	spread(t, m)
}

func readiness(s *member) (all string) {
	for _, c := range s.status().Ready(context.Background()) {
		all += fmt.Sprintf("%s: %s %v\n", c.Name, c.Detail, c.Err)
	}
	return all
}

func TestANewLeaderFinishesAReplacement(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 4, true, losing)
	lost := storeID(0, 1)
	nodes[0].set(func() { nodes[0].silent[lost] = true })
	c.eventually("the first groups to prepare", func() bool { return preparing(c.placement()) == epochWindow })
	lead := c.leader()
	c.stop(lead)
	if next := c.leader(); next == lead {
		t.Fatal("the stopped member leads")
	}
	for _, n := range nodes {
		n.set(func() { n.lazy = false })
	}
	var m *vstack.PlacementMap
	c.eventually("the roles to have moved", func() bool {
		m = c.placement()
		return rolesOf(m, lost) == 0 && preparing(m) == 0
	})
	spread(t, m)
	c.start(lead)
	c.eventually("the member that was away to have the same placement", func() bool {
		return c.members[lead].catalog.View().PlacementVersion() == c.members[c.leader()].catalog.View().PlacementVersion()
	})
}

func TestAnAmnesicStoreVotesAgainInTheNextEpoch(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 3, false, nil)
	before := c.placement()
	var groups []vstack.PG
	for pg, g := range before.Groups {
		if slices.Contains(g.Acceptors(), storeID(1, 0)) && len(groups) < 5 {
			groups = append(groups, vstack.PG(pg))
		}
	}
	nodes[1].set(func() { nodes[1].amnesic[storeID(1, 0)] = groups })
	changed := func(m *vstack.PlacementMap) (n int) {
		for _, pg := range groups {
			if m.Groups[pg].Epoch == before.Groups[pg].Epoch+1 {
				n++
			}
		}
		return n
	}
	c.eventually("its groups' next epoch", func() bool { return changed(c.placement()) == len(groups) })
	nodes[1].set(func() { clear(nodes[1].amnesic) }) // as the store does when it hears of it
	m := c.placement()
	for pg, g := range m.Groups {
		if want := slices.Contains(groups, vstack.PG(pg)); want != (g.Epoch > 1) || !slices.Equal(g.Targets, before.Groups[pg].Targets) {
			t.Errorf("group %d: epoch %d, targets %v, before %v", pg, g.Epoch, g.Targets, before.Groups[pg].Targets)
		}
	}
}

func TestWhoMayChangeEpochs(t *testing.T) {
	t.Parallel()
	c, nodes := frozen(t, 3, true, nil)
	ctx := t.Context()
	change := []wire.EpochChange{{PG: 1, Epoch: 2, Attempt: 1}}
	stranger := c.issue(identity.Spec{ID: "h9", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
	for member := range 3 { // the leader and those that forward
		if _, err := c.client(member).ActivateEpochs(ctx, change); !errors.Is(err, vstack.ErrForbidden) {
			t.Errorf("an administrator activates at member %d: %v", member, err)
		}
		if _, err := c.clientAs(stranger, member).ActivateEpochs(ctx, change); !errors.Is(err, vstack.ErrForbidden) {
			t.Errorf("a host without stores activates at member %d: %v", member, err)
		}
		if _, err := c.clientAs(c.reader(t), member).ActivateEpochs(ctx, change); !errors.Is(err, vstack.ErrUnauthenticated) {
			t.Errorf("a reader activates at member %d: %v", member, err)
		}
	}
	if r, err := nodes[0].cl.ActivateEpochs(ctx, change); err != nil || !slices.Equal(r.Refused, change) || r.Activated == nil {
		t.Errorf("a host, of an attempt that was never issued: %+v, %v", r, err)
	}
	if _, err := nodes[0].cl.ActivateEpochs(ctx, nil); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := c.clientAs(c.reader(t)).ReplaceStore(ctx, storeID(0, 0), vstack.StoreID{}); !errors.Is(err, vstack.ErrUnauthenticated) {
		t.Errorf("a reader replaces a store: %v", err)
	}
	cl := c.client()
	if _, err := cl.ReplaceStore(ctx, vstack.StoreID{9}, vstack.StoreID{}); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("an unknown store: %v", err)
	}
	if _, err := cl.ReplaceStore(ctx, storeID(0, 0), vstack.StoreID{9}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("with an unknown store: %v", err)
	}
	if _, err := cl.ReplaceStore(ctx, storeID(0, 0), storeID(0, 0)); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("with itself: %v", err)
	}
}
