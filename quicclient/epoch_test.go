package quicclient

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/chunkpaxos"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// seal ends epoch 1 of a slot's group on stores.
func (c *cluster) seal(cl *Client, slot vstack.Slot, at ...int) {
	c.t.Helper()
	m := c.placement()
	for _, i := range at {
		store, _ := m.Store(c.stores[i].id)
		reply, err := cl.Ask(c.t.Context(), store, message.Seal{PG: slot.PG(), Epoch: 1})
		if s, ok := reply.(message.Sealed); !ok || err != nil {
			c.t.Fatalf("seal store %d: %+v, %v", i, s, err)
		}
	}
}

// preparing makes the map say that a next epoch is on its way, and no more.
func (c *cluster) preparing(version uint64, targets []vstack.StoreID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := *c.places
	m.Version, m.Groups = version, slices.Clone(m.Groups)
	for i := range m.Groups {
		m.Groups[i].Next = &vstack.NextEpoch{Epoch: 2, Attempt: uint32(version), Targets: targets, Driver: targets[0]}
	}
	c.places = &m
}

func (c *cluster) askedFor() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// awaitAsked waits until the map was asked for n times more.
func (c *cluster) awaitAsked(n int) {
	for from := c.askedFor(); c.askedFor() < from+n; time.Sleep(time.Millisecond) {
		if c.t.Context().Err() != nil {
			return
		}
	}
}

// TestCommitWaitsForTheNextEpoch seals a slot's group: newer maps that only say
// PREPARING cost the commit nothing, and it goes on in the next epoch, at other stores.
func TestCommitWaitsForTheNextEpoch(t *testing.T) {
	c := newCluster(t, 4)
	reg := prometheus.NewRegistry()
	up, cl := c.upload(1), c.client(func(cfg *Config) { cfg.Registry = reg })
	if _, err := cl.Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000)); err != nil {
		t.Fatal(err)
	}
	slot := testSlot(2)
	c.seal(cl, slot, 0, 1, 2)
	next := c.ids(0, 1, 3)
	go func() {
		for version := range uint64(8) { // more than any number of tries
			c.awaitAsked(1)
			c.preparing(version+2, next)
		}
		c.awaitAsked(2)
		c.place(20, 2, next...)
	}()
	before := counted(t, reg, "messages_total", "put", "sent")
	got, err := cl.Commit(ctxFor(t), up, slot, chunkOf(2, 1000))
	if err != nil || got.Acks < vstack.Majority {
		t.Fatalf("%+v, %v", got, err)
	}
	if n := counted(t, reg, "messages_total", "put", "sent") - before; n > 6 {
		t.Errorf("%v PUTs, want three in each epoch", n)
	}
	// A promise holds in its epoch: the slot took two phases at the new acceptors, which
	// may have heard of the epoch after the client did. The sealed ones were not asked.
	if n := counted(t, reg, "messages_total", "prepare", "sent"); n < vstack.Majority || n > 12 {
		t.Errorf("%v prepares, want some three of them, in the new epoch", n)
	}
	// The survey of the new epoch makes round 0 safe again.
	for seq := uint32(3); ; seq++ {
		prepares := counted(t, reg, "messages_total", "prepare", "sent")
		if _, err := cl.Commit(ctxFor(t), up, testSlot(seq), chunkOf(uint64(seq), 1000)); err != nil {
			t.Fatal(err)
		}
		if counted(t, reg, "messages_total", "prepare", "sent") == prepares {
			break
		}
		time.Sleep(20 * time.Millisecond) // the pace of asking, until the survey has come
	}
}

func TestCommitDoesNotWaitForeverForAnEpoch(t *testing.T) {
	c := newCluster(t, 3)
	up, cl := c.upload(1), c.client(func(cfg *Config) { cfg.EpochWait = 150 * time.Millisecond })
	c.seal(cl, testSlot(1), 0, 1, 2)
	_, err := cl.Commit(ctxFor(t), up, testSlot(1), chunkOf(1, 1000))
	if !errors.Is(err, vstack.ErrEpochStale) {
		t.Fatalf("%v, want EPOCH_STALE", err)
	}
}

// TestCommitWaitsForTheInstall has two of three new acceptors without their install: no
// majority votes, and the commit asks again until one does.
func TestCommitWaitsForTheInstall(t *testing.T) {
	c := newCluster(t, 3)
	up := c.upload(1)
	cl := c.client(func(cfg *Config) { cfg.CommitAttempts = 2 })
	slot := testSlot(1)
	acceptors := c.ids(0, 1, 2)
	c.mu.Lock()
	m := *c.places
	m.Version, m.Groups = 2, slices.Clone(m.Groups)
	m.Groups[slot.PG()] = vstack.PGTargets{Epoch: 2, Attempt: 1, Targets: acceptors}
	c.places = &m
	c.mu.Unlock()
	for _, s := range c.stores {
		s.set(func() {
			s.run(s.acceptor.Step(chunkpaxos.CatalogChange{Applied: 1001, Groups: []chunkpaxos.Group{{PG: slot.PG(), Epoch: 2, Attempt: 1, Acceptors: acceptors}}}))
		})
	}
	install := func(at int) {
		store, _ := m.Store(c.stores[at].id)
		reply, err := cl.Ask(ctxFor(t), store, message.Install{PG: slot.PG(), Epoch: 2, Attempt: 1, First: true, Final: true})
		if r, ok := reply.(message.Installed); !ok || !r.Final || err != nil {
			t.Errorf("install on store %d: %+v, %v", at, reply, err)
		}
	}
	install(0)
	done := make(chan error, 1)
	go func() {
		_, err := cl.Commit(ctxFor(t), up, slot, chunkOf(1, 1000))
		done <- err
	}()
	c.awaitAsked(3) // it has failed more than once by now
	install(1)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestFetchFindsWhatAGroupLeftBehind reads a chunk that none of its targets holds yet.
func TestFetchFindsWhatAGroupLeftBehind(t *testing.T) {
	c := newCluster(t, 6)
	data := chunkOf(7, 5000)
	ref := c.put(data, 5) // the targets are 0 to 4
	got, err := c.client(nil).Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || vstack.ChunkIDOf(got.Data) != ref.ID || got.Store != c.stores[5].id {
		t.Fatalf("from %s: %v", got.Store, err)
	}
}
