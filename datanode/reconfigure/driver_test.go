package reconfigure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a placement map that changes, acceptors that answer, and a metastore.
type world struct {
	t      *testing.T
	stores []vstack.Store
	reg    *prometheus.Registry

	mu       sync.Mutex
	m        *vstack.PlacementMap
	changed  chan struct{}
	asked    map[wire.EpochChange]int // seals and installs, by the epoch that begins
	requests [][]wire.EpochChange     // to activate
	silent   map[vstack.StoreID]bool
	raft     func(changes []wire.EpochChange) (wire.ActivateReply, error) // nil activates all
	hold     chan struct{}                                                // Activate waits for it; nil does not
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, reg: prometheus.NewRegistry(), changed: make(chan struct{}), asked: map[wire.EpochChange]int{}, silent: map[vstack.StoreID]bool{}}
	w.m = &vstack.PlacementMap{Version: 1, Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	var ids []vstack.StoreID
	for i := range byte(3) {
		w.stores = append(w.stores, vstack.Store{ID: vstack.StoreID{i + 1}})
		ids = append(ids, w.stores[i].ID)
	}
	w.m.Stores = w.stores
	for i := range w.m.Groups {
		w.m.Groups[i] = vstack.PGTargets{Epoch: 1, Targets: ids}
	}
	return w
}

func (w *world) Placement() *vstack.PlacementMap {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.m
}

func (w *world) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// change puts a changed copy of the map in force.
func (w *world) change(f func(groups []vstack.PGTargets)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := *w.m
	m.Version, m.Groups = m.Version+1, slices.Clone(m.Groups)
	f(m.Groups)
	w.m = &m
	close(w.changed)
	w.changed = make(chan struct{})
}

// prepare issues the next attempt of groups, driven by a store.
func (w *world) prepare(driver vstack.StoreID, pgs ...vstack.PG) {
	w.change(func(groups []vstack.PGTargets) {
		for _, pg := range pgs {
			g := &groups[pg]
			n := vstack.NextEpoch{Epoch: g.Epoch + 1, Attempt: 1, Targets: g.Targets, Driver: driver}
			if g.Next != nil {
				n.Attempt = g.Next.Attempt + 1
			}
			g.Next = &n
		}
	})
}

func (w *world) ask(ctx context.Context, to vstack.Store, m message.Message) (message.Reply, error) {
	w.mu.Lock()
	silent := w.silent[to.ID]
	switch m := m.(type) {
	case message.Seal:
		w.asked[wire.EpochChange{PG: m.PG, Epoch: m.Epoch + 1}]++
	case message.Install:
		w.asked[wire.EpochChange{PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt}]++
	}
	w.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	switch m := m.(type) {
	case message.Seal:
		return message.Sealed{Store: to.ID, LSN: 1, PG: m.PG, Epoch: m.Epoch}, nil
	case message.Install:
		return message.Installed{Store: to.ID, LSN: 2, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt, Final: m.Final}, nil
	}
	return nil, fmt.Errorf("message %T", m)
}

func (w *world) activate(ctx context.Context, changes []wire.EpochChange) (reply wire.ActivateReply, err error) {
	w.mu.Lock()
	w.requests = append(w.requests, slices.Clone(changes))
	raft, hold := w.raft, w.hold
	w.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return reply, ctx.Err()
		}
	}
	if raft != nil {
		return raft(changes)
	}
	w.inForce(changes)
	return wire.ActivateReply{Activated: changes}, nil
}

// inForce has epochs begin; a repeated request changes nothing.
func (w *world) inForce(changes []wire.EpochChange) {
	w.change(func(groups []vstack.PGTargets) {
		for _, c := range changes {
			if groups[c.PG].Epoch >= c.Epoch {
				continue
			}
			groups[c.PG] = vstack.PGTargets{Epoch: c.Epoch, Attempt: c.Attempt, Targets: groups[c.PG].Targets}
		}
	})
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// count is how many messages belonged to an attempt; attempt 0 counts seals.
func (w *world) count(pg vstack.PG, e vstack.Epoch, attempt uint32) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[wire.EpochChange{PG: pg, Epoch: e, Attempt: attempt}]
}

// run starts a driver over a real log, and returns how to stop it.
func (w *world) run(dir string, tune func(*Config)) (id vstack.StoreID, stop func()) {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	disk, err := superblock.Open(w.t.Context(), superblock.Config{Dir: dir, SuperblockSize: 1 << 20, Reserve: 1 << 20, Logger: log, Fatal: func(err error) { w.t.Error(err) }})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := Config{Stores: []Store{disk}, Catalog: w, Ask: w.ask, Activate: w.activate, Logger: log, Registry: w.reg,
		RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond}
	if tune != nil {
		tune(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		if err := disk.Close(); err != nil {
			w.t.Error(err)
		}
		for _, c := range []prometheus.Collector{d.metrics.changes, d.metrics.stopped, d.metrics.votes, d.metrics.running} {
			w.reg.Unregister(c)
		}
	})
	w.t.Cleanup(stop)
	return disk.ID(), stop
}

func (w *world) epoch(pg vstack.PG) vstack.Epoch { return w.Placement().Groups[pg].Epoch }

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func TestDriverActivatesWhatItIsAskedFor(t *testing.T) {
	w := newWorld(t)
	id, stop := w.run(t.TempDir(), nil)
	w.prepare(vstack.StoreID{99}, 7) // somebody else's
	w.prepare(id, 1, 2, 3)
	waitFor(t, "three groups", func() bool { return w.epoch(1) == 2 && w.epoch(2) == 2 && w.epoch(3) == 2 })
	w.prepare(id, 1) // and on to the next epoch
	waitFor(t, "the next epoch", func() bool { return w.epoch(1) == 3 })
	waitFor(t, "the last install", func() bool { return w.count(1, 3, 1) == 3 })
	stop()
	if w.count(7, 2, 0) != 0 {
		t.Error("another store's attempt was driven")
	}
	if n := w.count(1, 2, 0); n != 3 {
		t.Errorf("%d seals, want one an acceptor", n)
	}
}

func TestDriverCountsWhatItDid(t *testing.T) {
	w := newWorld(t)
	id, _ := w.run(t.TempDir(), nil)
	w.prepare(id, 1, 2)
	waitFor(t, "the metric", func() bool {
		err := testutil.GatherAndCompare(w.reg, strings.NewReader(`
# HELP vstack_datanode_epoch_changes_total Attempts to change a placement group's epoch that this host drove, by result: activated, overtaken, failed.
# TYPE vstack_datanode_epoch_changes_total counter
vstack_datanode_epoch_changes_total{result="activated"} 2
`), "vstack_datanode_epoch_changes_total")
		return err == nil
	})
	if n := testutil.CollectAndCount(w.reg, "vstack_datanode_epoch_change_seconds"); n != 1 {
		t.Errorf("%d histograms of the stop", n)
	}
}

// TestNoAttemptIsDrivenTwice stops a driver in the middle of an attempt: the one that
// starts on its directory leaves the attempt alone, and takes the next.
func TestNoAttemptIsDrivenTwice(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	w.silent[w.stores[1].ID], w.silent[w.stores[2].ID] = true, true
	id, stop := w.run(dir, nil)
	w.prepare(id, 5)
	waitFor(t, "seals", func() bool { return w.count(5, 2, 0) == 3 })
	stop()
	w.set(func() { clear(w.silent) })
	_, stop = w.run(dir, nil)
	w.prepare(id, 6) // shows that it works
	waitFor(t, "another group", func() bool { return w.epoch(6) == 2 })
	if n := w.count(5, 2, 0); n != 3 {
		t.Errorf("%d seals: the attempt is driven again", n)
	}
	w.prepare(id, 5)
	waitFor(t, "the next attempt", func() bool { return w.epoch(5) == 2 })
	if n := w.count(5, 2, 1); n != 0 {
		t.Errorf("%d installs of the first attempt", n)
	}
	stop()
}

// TestLastInstallGoesOnBesideTheNextAttempt has an acceptor silent until the group is on
// its way to yet another epoch: it gets its install all the same, for the seal may need it.
func TestLastInstallGoesOnBesideTheNextAttempt(t *testing.T) {
	w := newWorld(t)
	w.silent[w.stores[2].ID] = true
	id, _ := w.run(t.TempDir(), func(c *Config) { c.CallTimeout = 20 * time.Millisecond })
	w.prepare(id, 5)
	waitFor(t, "the epoch", func() bool { return w.epoch(5) == 2 })
	waitFor(t, "the silent one to be asked", func() bool { return w.count(5, 2, 1) >= 3 })
	w.prepare(vstack.StoreID{99}, 5)
	w.set(func() { clear(w.silent) })
	waitFor(t, "the last install", func() bool {
		return testutil.GatherAndCompare(w.reg, strings.NewReader(`
# HELP vstack_datanode_epoch_changes_running Attempts that this host drives now, up to the last install.
# TYPE vstack_datanode_epoch_changes_running gauge
vstack_datanode_epoch_changes_running 0
`), "vstack_datanode_epoch_changes_running") == nil
	})
	if n := w.count(5, 2, 1); n < 4 {
		t.Errorf("%d installs: the silent one was not asked again", n)
	}
}

func TestOvertakenAttemptStops(t *testing.T) {
	for name, overtake := range map[string]func(*vstack.PGTargets){
		"another attempt": func(g *vstack.PGTargets) {
			n := *g.Next
			n.Attempt, n.Driver = n.Attempt+1, vstack.StoreID{99}
			g.Next = &n
		},
		"dropped":          func(g *vstack.PGTargets) { g.Next = nil },
		"another is there": func(g *vstack.PGTargets) { g.Epoch, g.Attempt, g.Next = 2, 9, nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.silent[w.stores[0].ID], w.silent[w.stores[1].ID] = true, true
			id, _ := w.run(t.TempDir(), func(c *Config) { c.AtOnce = 1 })
			w.prepare(id, 5)
			waitFor(t, "seals", func() bool { return w.count(5, 2, 0) == 3 })
			w.set(func() { clear(w.silent) })
			w.prepare(id, 6) // waits for room
			w.change(func(groups []vstack.PGTargets) { overtake(&groups[5]) })
			waitFor(t, "room for another", func() bool { return w.epoch(6) == 2 })
			if n := w.count(5, 2, 1); n != 0 {
				t.Errorf("%d installs of an attempt that was over", n)
			}
		})
	}
}

// TestActivationIsAskedForUntilItIsKnown loses leaders and answers.
func TestActivationIsAskedForUntilItIsKnown(t *testing.T) {
	w := newWorld(t)
	calls := 0
	w.raft = func(changes []wire.EpochChange) (wire.ActivateReply, error) {
		switch calls++; calls {
		case 1:
			return wire.ActivateReply{}, vstack.ErrNoLeader
		case 2:
			return wire.ActivateReply{}, nil // silent about it
		case 3:
			w.inForce(changes) // done, but nobody hears
			return wire.ActivateReply{}, vstack.ErrOutcomeUnknown
		}
		return wire.ActivateReply{Activated: changes}, nil
	}
	id, _ := w.run(t.TempDir(), nil)
	w.prepare(id, 5)
	waitFor(t, "the epoch", func() bool { return w.epoch(5) == 2 })
	waitFor(t, "the last install", func() bool { return w.count(5, 2, 1) == 3 })
	w.set(func() { w.raft = nil })
	w.prepare(id, 5)
	waitFor(t, "the next epoch", func() bool { return w.epoch(5) == 3 })
}

func TestRefusedActivationEndsTheAttempt(t *testing.T) {
	w := newWorld(t)
	w.raft = func(changes []wire.EpochChange) (wire.ActivateReply, error) {
		return wire.ActivateReply{Refused: changes}, nil
	}
	id, _ := w.run(t.TempDir(), func(c *Config) { c.AtOnce = 1 })
	w.prepare(id, 5)
	waitFor(t, "the request", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.requests) == 1 })
	w.set(func() { w.raft = nil })
	w.prepare(id, 6)
	waitFor(t, "room for another", func() bool { return w.epoch(6) == 2 })
	if w.epoch(5) != 1 {
		t.Error("a refused epoch is in force")
	}
	w.prepare(id, 5)
	waitFor(t, "the next attempt", func() bool { return w.epoch(5) == 2 })
}

// TestActivationsShareARequest holds the first request: all that wait then go into one.
func TestActivationsShareARequest(t *testing.T) {
	w := newWorld(t)
	w.hold = make(chan struct{})
	id, _ := w.run(t.TempDir(), nil)
	w.prepare(id, 0)
	waitFor(t, "the first request", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.requests) == 1 })
	var pgs []vstack.PG
	for pg := range vstack.PG(10) {
		pgs = append(pgs, pg+1)
	}
	w.prepare(id, pgs...)
	waitFor(t, "installs", func() bool {
		for _, pg := range pgs {
			if w.count(pg, 2, 1) < vstack.Majority {
				return false
			}
		}
		return true
	})
	close(w.hold)
	waitFor(t, "all", func() bool { return !slices.ContainsFunc(pgs, func(pg vstack.PG) bool { return w.epoch(pg) != 2 }) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.requests) > 4 { // an install may have been answered after the second request left
		t.Errorf("%d requests for 11 groups", len(w.requests))
	}
}

func TestAtMostAtOnceAttemptsRun(t *testing.T) {
	w := newWorld(t)
	w.hold = make(chan struct{})
	id, _ := w.run(t.TempDir(), func(c *Config) { c.AtOnce = 3 })
	var pgs []vstack.PG
	for pg := range vstack.PG(20) {
		pgs = append(pgs, pg)
	}
	w.prepare(id, pgs...)
	begun := func() (n int) {
		for _, pg := range pgs {
			if w.count(pg, 2, 0) > 0 {
				n++
			}
		}
		return n
	}
	waitFor(t, "three attempts", func() bool { return begun() >= 3 })
	w.change(func([]vstack.PGTargets) {}) // look again
	if n := begun(); n != 3 {
		t.Errorf("%d attempts at once", n)
	}
	close(w.hold)
	waitFor(t, "all", func() bool { return !slices.ContainsFunc(pgs, func(pg vstack.PG) bool { return w.epoch(pg) != 2 }) })
}

// fullStore cannot claim.
type fullStore struct{ Store }

func (fullStore) Append(context.Context, ...superblock.Record) (vstack.LSN, error) {
	return 0, vstack.ErrDiskFull
}

func TestNothingIsSentWithoutAClaim(t *testing.T) {
	w := newWorld(t)
	id, _ := w.run(t.TempDir(), func(c *Config) { c.Stores[0] = fullStore{c.Stores[0]} })
	w.prepare(id, 5)
	waitFor(t, "the failure", func() bool {
		got, err := testutil.GatherAndCount(w.reg, "vstack_datanode_epoch_changes_total")
		return err == nil && got == 1
	})
	w.change(func([]vstack.PGTargets) {})
	if n := w.count(5, 2, 0); n != 0 {
		t.Errorf("%d seals", n)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("an empty configuration: %v", err)
	}
}
