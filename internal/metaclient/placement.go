package metaclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const placementPath = "/v1/placement"

// placements is the last known map and the request for the next, which all who want it
// wait for, each as long as its own context allows.
type placements struct {
	mu      sync.Mutex // guards all below; never held across a request
	known   *vstack.PlacementMap
	etag    string
	checked time.Time
	flight  *placementFlight // nil while none is under way
	closed  bool
	wg      sync.WaitGroup // of the flight's goroutine
}

// placementFlight is one request. It ends early when nobody waits for it any more.
type placementFlight struct {
	waiting int // under placements.mu
	cancel  context.CancelFunc
	done    chan struct{} // closed behind m and err
	m       *vstack.PlacementMap
	err     error
}

// Placement answers the placement map. Within PlacementTTL it comes from memory;
// after that it is asked for again with its ETag, and while no member answers the
// last known map is answered: a stale map is harmless, datanodes fence by epoch.
// The map is shared: do not change it. It may not be Ready yet.
func (c *Client) Placement(ctx context.Context) (*vstack.PlacementMap, error) {
	p := &c.placement
	p.mu.Lock()
	if p.known.Ready() && time.Since(p.checked) < c.cfg.PlacementTTL {
		defer p.mu.Unlock()
		return p.known, nil
	}
	f := c.joinPlacement()
	p.mu.Unlock()
	return c.awaitPlacement(ctx, f)
}

// RefreshPlacement asks a member now, for a caller that was told EPOCH_STALE. A request
// under way may have been answered before that epoch began, so another follows it.
func (c *Client) RefreshPlacement(ctx context.Context) (*vstack.PlacementMap, error) {
	p := &c.placement
	p.mu.Lock()
	if early := p.flight; early != nil {
		p.mu.Unlock()
		select {
		case <-early.done:
		case <-ctx.Done():
			return nil, placementGivenUp(ctx)
		}
		p.mu.Lock()
	}
	f := c.joinPlacement()
	p.mu.Unlock()
	return c.awaitPlacement(ctx, f)
}

// joinPlacement waits with those of the request under way, or begins one. The caller
// holds placements.mu, and calls awaitPlacement.
func (c *Client) joinPlacement() *placementFlight {
	p := &c.placement
	if p.closed {
		f := &placementFlight{waiting: 1, cancel: func() {}, done: make(chan struct{}), err: fmt.Errorf("GET %s: %w", placementPath, vstack.ErrClosed)}
		close(f.done)
		return f
	}
	if p.flight == nil {
		ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
		f := &placementFlight{cancel: cancel, done: make(chan struct{})}
		p.flight = f
		known, etag := p.known, p.etag
		p.wg.Go(func() { c.fetchPlacement(ctx, f, known, etag) })
	}
	p.flight.waiting++
	return p.flight
}

func (c *Client) awaitPlacement(ctx context.Context, f *placementFlight) (*vstack.PlacementMap, error) {
	p := &c.placement
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if f.waiting--; f.waiting == 0 {
			f.cancel()
			if p.flight == f {
				p.flight = nil // it ends for want of callers, which says nothing to the next one
			}
		}
	}()
	select {
	case <-f.done:
		return f.m, f.err
	case <-ctx.Done():
		return nil, placementGivenUp(ctx)
	}
}

// fetchPlacement is the flight's goroutine.
func (c *Client) fetchPlacement(ctx context.Context, f *placementFlight, known *vstack.PlacementMap, etag string) {
	defer f.cancel()
	var m vstack.PlacementMap
	// With a map in hand one round over the members is enough.
	have := known.Ready()
	ans, err := c.do(ctx, call{method: http.MethodGet, path: placementPath, out: &m, etag: etag, local: true, once: have})
	p := &c.placement
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(f.done)
	if p.flight == f {
		p.flight = nil
	}
	switch {
	case err != nil && (!have || f.waiting == 0):
		f.err = err
		return
	case err != nil: // the known map goes on
	case ans.status == http.StatusNotModified:
	case p.known == nil || m.Version >= p.known.Version:
		p.known, p.etag = &m, ans.etag
	}
	p.checked, f.m = time.Now(), p.known
}

// placementGivenUp is what a caller is told that did not wait for the answer.
func placementGivenUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("GET %s: %w", placementPath, ctx.Err())
	}
	return fmt.Errorf("GET %s: no endpoint answered in time: %w", placementPath, vstack.ErrTimeout)
}

// close ends the request under way and allows no other.
func (p *placements) close() {
	p.mu.Lock()
	p.closed = true
	if p.flight != nil {
		p.flight.cancel()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
