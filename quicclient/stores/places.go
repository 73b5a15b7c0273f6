package stores

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// placementTimeout bounds one question for the map.
	placementTimeout = 5 * time.Second
	// placementPause keeps stores that call the map out of date from making this
	// client ask for it more often than a new one can be expected.
	placementPause = 20 * time.Millisecond
)

// places is the client's copy of the placement map.
type places struct {
	c *Pool

	mu      sync.Mutex
	m       *vstack.PlacementMap
	fetched time.Duration // when m came
	asked   time.Duration // when it was last asked for
	asking  chan struct{} // closed when the question under way ended
	err     error         // of the last question
}

// Placement returns a map that assigns targets. An old one is good enough: a newer one
// is then asked for in the background, so that no read waits for the metastore.
func (c *Pool) Placement(ctx context.Context) (*vstack.PlacementMap, error) { return c.places.get(ctx) }

// Newer returns a map that was asked for after the caller found version out of date. It
// may still be the same one.
func (c *Pool) Newer(ctx context.Context, version uint64) (*vstack.PlacementMap, error) {
	return c.places.newer(ctx, version)
}

// cached returns the map without asking for it; nil if there is none yet.
func (p *places) cached() *vstack.PlacementMap {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m
}

func (p *places) get(ctx context.Context) (*vstack.PlacementMap, error) {
	p.mu.Lock()
	m := p.m
	if m.Ready() {
		if p.c.Now()-max(p.fetched, p.asked) > p.c.cfg.PlacementMaxAge {
			p.askLocked()
		}
		p.mu.Unlock()
		return m, nil
	}
	done := p.askLocked()
	p.mu.Unlock()
	return p.wait(ctx, done)
}

func (p *places) newer(ctx context.Context, version uint64) (*vstack.PlacementMap, error) {
	p.mu.Lock()
	if p.m.Ready() && p.m.Version > version {
		defer p.mu.Unlock()
		return p.m, nil
	}
	if pause := p.asked + placementPause - p.c.Now(); p.asking == nil && p.asked > 0 && pause > 0 {
		p.mu.Unlock()
		if !sleep.For(ctx, pause) {
			return nil, ctx.Err()
		}
		p.mu.Lock()
	}
	done := p.askLocked()
	p.mu.Unlock()
	return p.wait(ctx, done)
}

func (p *places) wait(ctx context.Context, done <-chan struct{}) (*vstack.PlacementMap, error) {
	if done == nil {
		return nil, vstack.ErrClosed
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, fmt.Errorf("get placement map: %w", ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.m.Ready():
		return p.m, nil
	case p.err != nil:
		return nil, fmt.Errorf("get placement map: %w", p.err)
	}
	return nil, fmt.Errorf("get placement map: %w", vstack.ErrNotReady)
}

// askLocked asks for the map unless someone does already.
func (p *places) askLocked() <-chan struct{} {
	if p.asking != nil {
		return p.asking
	}
	done := make(chan struct{})
	if !p.c.Spawn(func(ctx context.Context) { p.ask(ctx, done) }) {
		return nil
	}
	p.asking, p.asked = done, p.c.Now()
	return done
}

func (p *places) ask(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, placementTimeout)
	defer cancel()
	m, err := p.c.cfg.Placement(ctx)
	if err == nil && m == nil {
		err = vstack.ErrNotReady
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(done)
	p.asking, p.err = nil, err
	if err != nil {
		p.c.cfg.Logger.Warn("get placement map", "error", err)
		return
	}
	// A follower may answer with an older map than another one did before.
	if p.m == nil || m.Version >= p.m.Version {
		p.m, p.fetched = m, p.c.Now()
		p.c.forget(m)
	}
}
