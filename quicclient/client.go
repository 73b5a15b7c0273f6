package quicclient

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vstack/vstack/quicclient/stores"
	"github.com/vstack/vstack/quicclient/transfer"
)

// Client reads chunks from stores and has chunks chosen by them. It is safe for
// concurrent use.
type Client struct {
	cfg     Config
	metrics *metrics
	pool    *stores.Pool
	engine  *transfer.Engine
	commits commits
	lies    lies

	closing sync.Once
	err     error // of Close
}

// New makes a client. It dials nothing until something is read or written.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("quicclient: register metrics: %w", err)
	}
	c := &Client{cfg: cfg, metrics: m}
	c.pool = stores.NewPool(stores.Config{
		TLS: cfg.TLS, Network: cfg.Network, Placement: cfg.Placement, PlacementMaxAge: cfg.PlacementMaxAge,
		HandshakeTimeout: cfg.HandshakeTimeout, IdleTimeout: cfg.IdleTimeout, FallbackAfter: cfg.FallbackAfter,
		TCPConns: cfg.WriteConns, NoQUIC: cfg.ReadTransport == ReadTCP,
		Sessions: cfg.Sessions, Changed: func() { c.engine.Wake() },
		Logger: cfg.Logger, Dials: m.dials,
	})
	if err := registerLinks(cfg.Registry, c.pool); err != nil {
		return nil, fmt.Errorf("quicclient: register metrics: %w", errors.Join(err, c.pool.Close()))
	}
	c.engine = transfer.New(transfer.Config{Pool: c.pool, Policy: cfg.Policy, How: c.how(), Logger: cfg.Logger, Counters: counters{m}})
	c.commits.init(c)
	c.pool.Spawn(c.engine.Run)
	return c, nil
}

// Close ends every request and connection and waits for them. Straggling PUTs may
// finish within StragglerTimeout first.
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.commits.drain()
		c.err = c.pool.Close()
	})
	return c.err
}

// Stores returns the live signals of every store in the placement map, ordered by id;
// nothing before the map was needed for the first time.
func (c *Client) Stores() []StoreSignals { return c.pool.Signals() }

// Spent is what reading has cost since the client was made, in bytes of bodies.
func (c *Client) Spent() (useful, extra int64) {
	s := c.engine.Spent()
	return s.Useful, s.Extra
}
