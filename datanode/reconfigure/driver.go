package reconfigure

import (
	"context"
	"sync"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Driver runs the epoch changes of one host.
type Driver struct {
	cfg       Config
	metrics   *metrics
	stores    map[vstack.StoreID]Store
	activator *activator
	wake      chan struct{} // an attempt made room; capacity 1

	mu sync.Mutex // guards all below
	// running are at most two of a group: one that is in force and brings the last
	// acceptor its install, and an attempt at the next epoch.
	running map[wire.EpochChange]*change
	busy    int                            // of running, before their activation
	begun   map[vstack.PG]wire.EpochChange // the last attempt, so that one whose claim failed is left alone
}

// New checks the configuration. Run drives.
func New(cfg Config) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, metrics: m, stores: make(map[vstack.StoreID]Store, len(cfg.Stores)),
		activator: newActivator(&cfg), wake: make(chan struct{}, 1), running: make(map[wire.EpochChange]*change), begun: make(map[vstack.PG]wire.EpochChange)}
	for _, s := range cfg.Stores {
		d.stores[s.ID()] = s
	}
	return d, nil
}

// Run drives until ctx ends, and returns when every attempt has stopped.
func (d *Driver) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { d.activator.run(ctx) })
	var seen uint64 // the newest version of the map
	for {
		changed := d.cfg.Catalog.Changed()
		// A map that is older than one before it, from a member that lags, tells nothing.
		if m := d.cfg.Catalog.Placement(); m.Ready() && m.Version >= seen {
			seen = m.Version
			for _, c := range d.look(ctx, m) {
				wg.Go(func() { d.drive(c) })
			}
		}
		select {
		case <-changed:
		case <-d.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// look compares what runs with what the map asks for: it tells attempts that they are
// in force or over, and returns those to begin.
func (d *Driver) look(ctx context.Context, m *vstack.PlacementMap) (begin []*change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, c := range d.running {
		c.judge(m.Groups[key.PG])
	}
	for i, g := range m.Groups {
		pg := vstack.PG(i)
		next := g.Next
		if next == nil || next.Epoch != g.Epoch+1 || d.busy >= d.cfg.AtOnce {
			continue
		}
		s := d.stores[next.Driver]
		key := wire.EpochChange{PG: pg, Epoch: next.Epoch, Attempt: next.Attempt}
		if s == nil || d.begun[pg] == key || claimed(s, key) {
			continue
		}
		c := newChange(ctx, d, s, key, g)
		d.running[key], d.begun[pg] = c, key
		d.busy++
		begin = append(begin, c)
	}
	d.metrics.running.Set(float64(len(d.running)))
	return begin
}

// drive runs one attempt to its end.
func (d *Driver) drive(c *change) {
	defer c.cancel(nil)
	err := c.run()
	d.activated(c) // if it was not before
	c.report(err)
	d.mu.Lock()
	delete(d.running, c.key)
	d.metrics.running.Set(float64(len(d.running)))
	d.mu.Unlock()
	d.again()
}

// activated makes room for another attempt: this one stops nobody's writes any more.
func (d *Driver) activated(c *change) {
	c.freed.Do(func() {
		d.mu.Lock()
		d.busy--
		d.mu.Unlock()
		d.again()
	})
}

// again has Run look at the map again.
func (d *Driver) again() {
	select {
	case d.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// claimed reports whether a store's host began an attempt, or a later one.
func claimed(s Store, key wire.EpochChange) bool {
	r, ok := s.Group(superblock.KindClaim, key.PG)
	return ok && (r.Epoch > key.Epoch || r.Epoch == key.Epoch && r.Ballot.Round >= key.Attempt)
}
