package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// gate bounds the requests being answered, fairly by viewer: while others wait one
// viewer holds at most an eighth, and the last eighth is kept for viewers that hold
// nothing. An idle gate may otherwise be used whole.
type gate struct {
	limit int
	wait  time.Duration

	mu      sync.Mutex
	busy    int
	held    map[netip.Prefix]int
	waiting []*ticket // oldest first
}

type ticket struct {
	who   netip.Prefix
	ready chan struct{} // closed under gate.mu when the ticket is admitted
}

func newGate(limit int, wait time.Duration) *gate {
	return &gate{limit: limit, wait: wait, held: map[netip.Prefix]int{}}
}

// enter waits for a turn; each success needs one leave.
func (g *gate) enter(ctx context.Context, who netip.Prefix) error {
	g.mu.Lock()
	// Whoever waits may not enter now, or it would have: a newcomer takes nothing from them.
	if g.admits(who) {
		g.take(who)
		g.mu.Unlock()
		return nil
	}
	if all, mine := len(g.waiting), g.waits(who); all >= g.limit || mine >= max(1, g.limit/2) {
		g.mu.Unlock()
		return fmt.Errorf("%w: %d requests wait, %d of them yours", vstack.ErrUnavailable, all, mine)
	}
	t := &ticket{who: who, ready: make(chan struct{})}
	g.waiting = append(g.waiting, t)
	g.serve()
	g.mu.Unlock()

	timer := time.NewTimer(g.wait)
	defer timer.Stop()
	select {
	case <-t.ready:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiting {
		if w == t {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return fmt.Errorf("%w: no turn within %s, %d requests are being answered", vstack.ErrUnavailable, g.wait, g.busy)
		}
	}
	return nil // admitted in the same moment
}

// load is the part of all turns that is taken.
func (g *gate) load() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return float64(g.busy) / float64(g.limit)
}

// leave ends a turn.
func (g *gate) leave(who netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	if g.held[who]--; g.held[who] == 0 {
		delete(g.held, who)
	}
	g.serve()
}

// serve admits whoever may, oldest first. With g.mu held.
func (g *gate) serve() {
	kept := g.waiting[:0]
	for _, t := range g.waiting {
		if g.admits(t.who) {
			g.take(t.who)
			close(t.ready)
		} else {
			kept = append(kept, t)
		}
	}
	clear(g.waiting[len(kept):])
	g.waiting = kept
}

func (g *gate) take(who netip.Prefix) {
	g.busy++
	g.held[who]++
}

// admits says whether a viewer may hold one more. With g.mu held.
func (g *gate) admits(who netip.Prefix) bool {
	eighth := max(1, g.limit/8)
	mine := g.held[who]
	switch {
	case g.busy >= g.limit:
		return false
	case mine == 0:
		return true
	case g.busy >= g.limit-eighth:
		return false
	}
	return mine < eighth || !g.othersWait(who)
}

// waits counts a viewer's requests that wait. With g.mu held.
func (g *gate) waits(who netip.Prefix) int {
	n := 0
	for _, t := range g.waiting {
		if t.who == who {
			n++
		}
	}
	return n
}

func (g *gate) othersWait(who netip.Prefix) bool {
	for _, t := range g.waiting {
		if t.who != who {
			return true
		}
	}
	return false
}
