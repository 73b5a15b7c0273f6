package vote

import (
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// guard keeps a chunk's bytes and the votes for them together: a chunk is not dropped
// while it is pinned, nor after it was pinned since the plan that wants it dropped.
type guard struct {
	mu       sync.Mutex // guards all below
	pins     map[vstack.ChunkID]int
	dropping map[vstack.ChunkID]chan struct{} // closed when the drop has ended
	touched  map[vstack.ChunkID]struct{}      // pinned since plan; nil without a plan
}

func newGuard() *guard {
	return &guard{pins: map[vstack.ChunkID]int{}, dropping: map[vstack.ChunkID]chan struct{}{}}
}

// pin waits for a drop of the chunk under way, which takes one append.
func (g *guard) pin(id vstack.ChunkID) {
	g.mu.Lock()
	for {
		done, busy := g.dropping[id]
		if !busy {
			break
		}
		g.mu.Unlock()
		<-done
		g.mu.Lock()
	}
	g.pins[id]++
	if g.touched != nil {
		g.touched[id] = struct{}{}
	}
	g.mu.Unlock()
}

func (g *guard) unpin(id vstack.ChunkID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pins[id]--; g.pins[id] == 0 {
		delete(g.pins, id)
	}
}

// plan starts to note what is pinned from now on.
func (g *guard) plan() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.touched = make(map[vstack.ChunkID]struct{}, len(g.pins))
	for id := range g.pins {
		g.touched[id] = struct{}{}
	}
}

// begin picks the chunks that may be dropped and holds pins of them off; end lets
// them go on.
func (g *guard) begin(ids []vstack.ChunkID) (drop []vstack.ChunkID, end func()) {
	done := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		_, touched := g.touched[id]
		_, busy := g.dropping[id]
		if g.touched == nil || touched || busy || g.pins[id] > 0 {
			continue
		}
		g.dropping[id] = done
		drop = append(drop, id)
	}
	return drop, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, id := range drop {
			delete(g.dropping, id)
		}
		close(done)
	}
}
