package serve

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Gate counts the requests in flight of one store and refuses those beyond a bound,
// so that overload is told at once and not by ever longer answers.
type Gate struct {
	limit int64
	busy  atomic.Int64
}

// NewGate bounds the requests in flight to limit.
func NewGate(limit int) *Gate { return &Gate{limit: int64(limit)} }

// Enter counts a request in; each success needs one Leave.
func (g *Gate) Enter() error {
	if n := g.busy.Add(1); n > g.limit {
		g.busy.Add(-1)
		return fmt.Errorf("%w: %d requests in flight", vstack.ErrUnavailable, n-1)
	}
	return nil
}

// Leave counts a request out.
func (g *Gate) Leave() { g.busy.Add(-1) }

// Busy is the number of requests in flight.
func (g *Gate) Busy() int { return int(g.busy.Load()) }

// drained waits until nothing is in flight, or ctx ends. It polls: only a shutdown
// asks, and requests would otherwise pay for it.
func (g *Gate) drained(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for g.Busy() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
