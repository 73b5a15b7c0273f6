package serve

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/wire"
)

// gateWait is how long a request waits for its turn: as long as one that stands still with
// more than its share of something may do so.
const gateWait = time.Second

// Gate counts the requests in flight of one store and refuses those beyond a bound after a
// second, so that overload is told soon and not by ever longer answers. An eighth of the bound is
// kept for those who have none in flight. Hosts have a bound of their own, as large: strangers
// do not keep a cluster from repairing itself.
type Gate struct {
	others, hosts *admission.Budget
	busy          atomic.Int64
	places        int // where requests wait for their turn, of hosts and of others each
}

// NewGate bounds the requests in flight of hosts, and of others, to limit each.
func NewGate(limit int) *Gate {
	of := func() *admission.Budget { return admission.NewBudget("requests in flight", int64(limit)) }
	return &Gate{others: of(), hosts: of(), places: limit}
}

// passage is a request's way through the gate.
type passage struct {
	gate   *Gate
	budget *admission.Budget
	key    admission.Key
}

func (g *Gate) of(r *http.Request) passage {
	p, ok := identity.PeerOf(r.TLS)
	if ok && p.Role == identity.RoleHost {
		return passage{g, g.hosts, admission.KeyOf(r)}
	}
	return passage{g, g.others, admission.KeyOf(r)}
}

// enter counts the request in; each success needs one leave.
func (p passage) enter() error {
	if err := p.budget.TryAcquire(p.key, 1); err != nil {
		return err
	}
	p.gate.busy.Add(1)
	return nil
}

// await is enter with a wait for who is refused, where there is a place to wait.
func (p passage) await(ctx context.Context) error {
	if p.enter() == nil {
		return nil
	}
	turn, cancel := context.WithTimeout(ctx, gateWait)
	defer cancel()
	if err := p.budget.AcquireAmong(turn, p.key, 1, p.gate.places); err != nil {
		return err
	}
	p.gate.busy.Add(1)
	return nil
}

func (p passage) leave() {
	p.gate.busy.Add(-1)
	p.budget.Release(p.key, 1)
}

// Limit lets requests through to next while there is room, and refuses the others.
func (g *Gate) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		of := g.of(r)
		if err := of.await(r.Context()); err != nil {
			wire.WriteError(w, err)
			return
		}
		defer of.leave()
		next.ServeHTTP(w, r)
	})
}

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
