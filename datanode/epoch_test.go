package datanode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

func allGroups() []vstack.PG {
	pgs := make([]vstack.PG, vstack.PlacementGroups)
	for i := range pgs {
		pgs[i] = vstack.PG(i)
	}
	return pgs
}

// moveTo has groups move to the nodes, in windows, each driven by one of them.
func (c *cluster) moveTo(window int, nodes ...*node) {
	c.t.Helper()
	var ids []vstack.StoreID
	for _, n := range nodes {
		ids = append(ids, n.id)
	}
	for pgs := range slices.Chunk(allGroups(), window) {
		c.meta.prepare(func(pg vstack.PG, _ vstack.PGTargets) ([]vstack.StoreID, vstack.StoreID) {
			return ids, ids[int(pg)%len(ids)]
		}, pgs...)
		waitFor(c.t, func() bool { return c.meta.preparing() == 0 })
	}
}

// writers is the host's real client, and administrators who contend.
func (c *cluster) writer(proposer vstack.ProposerID) *quicclient.Client {
	c.t.Helper()
	q, err := quicclient.New(quicclient.Config{TLS: c.admin.ClientTLS(), Placement: c.meta.Placement, Proposer: proposer, Logger: testLogger()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = q.Close() })
	return q
}

// held is what every acceptor of a slot says, by value.
func (c *cluster) held(slot vstack.Slot) map[vstack.ChunkID]int {
	group, _ := c.meta.placement.Group(slot)
	out := map[vstack.ChunkID]int{}
	for _, n := range c.nodes {
		if !slices.Contains(group.Acceptors(), n.id) {
			continue
		}
		s, _ := n.send(message.Query{Slot: slot}, nil).(message.SlotState)
		if !s.Accepted.IsZero() {
			out[s.Value.Chunk]++
		}
	}
	return out
}

// TestGroupsMoveUnderCommits moves every group from A, B, C to A, B, D, and on, while two
// clients commit, each slot with two values: no commit fails, both learn the same value of
// each slot, and it is still chosen, with its bytes, when all have moved.
func TestGroupsMoveUnderCommits(t *testing.T) {
	c := newClusterOf(t, []string{"h1", "h2", "h3", "h4"}, nil)
	n := c.nodes
	c.moveTo(vstack.PlacementGroups, n[0], n[1], n[2]) // D votes nowhere
	u := c.open()
	owner, other := c.writer(vstack.ProposerID{}), c.writer(vstack.ProposerID{9})

	var seq atomic.Uint32
	var stop atomic.Bool
	var mu sync.Mutex
	learned := map[uint32]vstack.ChunkID{}
	commit := func(by *quicclient.Client, at uint32, data []byte) {
		done, err := by.Commit(t.Context(), u, vstack.Slot{Video: u.Video, Seq: at}, data)
		var conflict *quicclient.ConflictError
		if err != nil && !errors.As(err, &conflict) {
			t.Errorf("slot %d: %v", at, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if before, known := learned[at]; known && before != done.Value.Chunk {
			t.Errorf("slot %d: one client learned %s, another %s", at, before.Short(), done.Value.Chunk.Short())
		}
		learned[at] = done.Value.Chunk
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !stop.Load() && !t.Failed() {
				at := seq.Add(1)
				var both sync.WaitGroup
				both.Go(func() { commit(owner, at, fmt.Appendf(nil, "chunk %d", at)) })
				if at%4 == 0 {
					both.Go(func() { commit(other, at, fmt.Appendf(nil, "another %d", at)) })
				}
				both.Wait()
			}
		})
	}
	c.moveTo(32, n[0], n[1], n[3]) // A, B, D
	c.moveTo(32, n[2], n[0], n[3]) // C, A, D
	c.moveTo(32, n[1], n[2], n[3]) // B, C, D: nobody of them alone was there all the time
	stop.Store(true)
	wg.Wait()

	t.Logf("%d slots under 4 moves of %d groups", len(learned), vstack.PlacementGroups)
	if len(learned) < 20 {
		t.Errorf("only %d slots were committed", len(learned))
	}
	for at, id := range learned {
		slot := vstack.Slot{Video: u.Video, Seq: at}
		if held := c.held(slot); held[id] < vstack.Majority || len(held) != 1 {
			t.Errorf("slot %d was chosen as %s, the acceptors hold %v", at, id.Short(), held)
		}
		group, _ := c.meta.placement.Group(slot)
		for _, node := range n {
			if s, _ := node.send(message.Query{Slot: slot}, nil).(message.SlotState); s.Value.Chunk == id && slices.Contains(group.Acceptors(), node.id) {
				if _, ok := node.server.stores[0].disk.Lookup(id); !ok {
					t.Errorf("slot %d: %s votes without bytes", at, node.name)
				}
			}
		}
	}
}

// TestInstallOutlivesARestart stops an acceptor between the pages of an install and its
// activation: it votes in the new epoch only if it still has all of it.
func TestInstallOutlivesARestart(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.InstallWait = 100 * time.Millisecond })
	a, b := c.nodes[0], c.nodes[1]
	u, data := c.open(), random(10_000)
	c.put(u, 1, data, a, b)
	slot := vstack.Slot{Video: u.Video, Seq: 1}
	pg := slot.PG()
	sealed, ok := a.send(message.Seal{PG: pg, Epoch: 1}, nil).(message.Sealed)
	if !ok || len(sealed.Votes) != 1 {
		t.Fatalf("sealed: %+v", sealed)
	}
	ids := []vstack.StoreID{c.nodes[0].id, c.nodes[1].id, c.nodes[2].id}
	// A driver that none of these hosts has: the test is the driver.
	c.meta.prepare(func(vstack.PG, vstack.PGTargets) ([]vstack.StoreID, vstack.StoreID) { return ids, vstack.StoreID{1} }, pg)
	install := message.Install{PG: pg, Epoch: 2, Attempt: 1, First: true, Votes: sealed.Votes}
	final := message.Install{PG: pg, Epoch: 2, Attempt: 1, Final: true}
	for _, n := range c.nodes {
		if r, ok := n.send(install, nil).(message.Installed); !ok || r.Final || r.LSN == 0 {
			t.Fatalf("install on %s: %+v", n.name, r)
		}
	}
	if !c.nodes[2].has(vstack.ChunkRef{ID: vstack.ChunkIDOf(data)}) {
		t.Error("a vote was staged without its bytes")
	}
	restart := func(n *node) { n.stop(); n.start(); n.ready() }
	restart(a) // between the pages
	for _, n := range c.nodes[:2] {
		if r, ok := n.send(final, nil).(message.Installed); !ok || !r.Final {
			t.Fatalf("last page on %s: %+v", n.name, r)
		}
	}
	restart(b) // between install and activation
	activate := []wire.EpochChange{{PG: pg, Epoch: 2, Attempt: 1}}
	if r, err := c.meta.ActivateEpochs(t.Context(), activate); err != nil || len(r.Activated) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, n := range c.nodes {
		n.ready()
	}
	other := random(10_000)
	for _, n := range c.nodes[:2] {
		s, ok := n.send(message.Query{Slot: slot}, nil).(message.SlotState)
		if !ok || s.Epoch != 2 || s.Accepted != message.InstallBallot(1) || s.Value.Chunk != vstack.ChunkIDOf(data) {
			t.Errorf("%s after the activation: %+v", n.name, s)
		}
		if r, ok := n.send(c.accept(u, 1, other), other).(message.Nack); !ok || r.Reason != vstack.ErrSlotConflict {
			t.Errorf("%s takes another value in round 0: %+v", n.name, r)
		}
	}
	// C never got the last page: it must not vote, nor tell its votes to a seal.
	for _, m := range []message.Message{c.accept(u, 1, data), message.Seal{PG: pg, Epoch: 2}} {
		body := data
		if _, isSeal := m.(message.Seal); isSeal {
			body = nil
		}
		if r, ok := c.nodes[2].send(m, body).(message.Nack); !ok || r.Reason != vstack.ErrUnavailable {
			t.Errorf("a store without its install answers %T with %+v", m, r)
		}
	}
	// It says so, and the next epoch, driven by one of the others, brings it an install.
	waitFor(t, func() bool { return slices.Equal(c.meta.report(c.nodes[2].id).Amnesic, []vstack.PG{pg}) })
	c.meta.prepare(func(vstack.PG, vstack.PGTargets) ([]vstack.StoreID, vstack.StoreID) { return ids, b.id }, pg)
	waitFor(t, func() bool { return c.meta.preparing() == 0 && len(c.meta.report(c.nodes[2].id).Amnesic) == 0 })
	waitFor(t, func() bool { return c.held(slot)[vstack.ChunkIDOf(data)] == 3 })
}

// TestAmnesicStoreVotesAgain has a store forget what it acknowledged: it takes no vote
// until its groups have moved to their next epoch, of the same three, and then it does, and
// goes on to after a restart: what it forgot is settled.
func TestAmnesicStoreVotesAgain(t *testing.T) {
	for name, forget := range map[string]func(*cluster, *node){
		"it acknowledged more than it holds": func(c *cluster, n *node) { c.meta.set(func() { c.meta.echo[n.id] += 1_000_000 }) },
		"rot took a record":                  func(_ *cluster, n *node) { rotFirstRecord(t, n.dataDir()) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, nil)
			u, data := c.open(), random(10_000)
			for seq := range uint32(3) {
				c.put(u, seq+1, data, c.nodes...)
			}
			n := c.nodes[1]
			n.stop()
			forget(c, n)
			n.start()
			waitFor(t, func() bool { return len(c.meta.report(n.id).Amnesic) == vstack.PlacementGroups })
			if votes, why := n.server.stores[0].voter.Votes(); votes {
				t.Fatalf("votes: %s", why)
			}
			ids := []vstack.StoreID{c.nodes[0].id, n.id, c.nodes[2].id}
			for pgs := range slices.Chunk(allGroups(), 32) {
				c.meta.prepare(func(pg vstack.PG, _ vstack.PGTargets) ([]vstack.StoreID, vstack.StoreID) {
					return ids, ids[int(pg%2)*2]
				}, pgs...)
				waitFor(t, func() bool { return c.meta.preparing() == 0 })
			}
			votes := func() bool {
				votes, _ := n.server.stores[0].voter.Votes()
				return votes && len(c.meta.report(n.id).Amnesic) == 0
			}
			waitFor(t, votes)
			n.stop()
			n.start()
			n.ready()
			// Neither the amnesia of an epoch that is over bars it, nor the echo of before.
			waitFor(t, n.server.stores[0].voter.Settled)
			if ok, why := n.server.stores[0].voter.Votes(); !ok && strings.Contains(why, "forgotten") {
				t.Fatalf("after a plain restart: %s", why)
			}
			waitFor(t, votes)
			waitFor(t, func() bool { return c.held(vstack.Slot{Video: u.Video, Seq: 1})[vstack.ChunkIDOf(data)] == 3 })
			c.put(u, 4, random(10_000), c.nodes...)
		})
	}
}

// rotFirstRecord breaks the header of the first record of a store that is closed, before
// others.
func rotFirstRecord(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.vsb"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no superblock in %s: %v", dir, err)
	}
	f, err := os.OpenFile(paths[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("rot"), 4096+20); err != nil {
		t.Fatal(err)
	}
}
