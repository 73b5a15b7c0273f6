package reconfigure

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Catalog is the followed placement map.
type Catalog interface {
	// Placement is the current map, nil before the first.
	Placement() *vstack.PlacementMap
	// Changed is closed at the next change.
	Changed() <-chan struct{}
}

// Store is one of this host's stores, with the log that remembers its claims.
type Store interface {
	ID() vstack.StoreID
	Append(ctx context.Context, recs ...superblock.Record) (vstack.LSN, error)
	Group(kind superblock.Kind, pg vstack.PG) (superblock.Record, bool)
}

// Config is what a Driver needs. Zero bounds take the defaults of the comments.
type Config struct {
	Stores  []Store
	Catalog Catalog
	// Ask sends one message to a store and reads its answer. An error says that nobody
	// knows whether it arrived.
	Ask func(ctx context.Context, to vstack.Store, m message.Message) (message.Reply, error)
	// Activate asks the metastore; *metaclient.Client's ActivateEpochs.
	Activate func(ctx context.Context, changes []wire.EpochChange) (wire.ActivateReply, error)
	// Logger; default slog.Default.
	Logger *slog.Logger
	// Registry for metrics; nil for none.
	Registry prometheus.Registerer

	// AtOnce bounds the attempts between claim and activation; default 16.
	AtOnce int
	// CallTimeout bounds one message, with the fetching of the bytes that an install
	// names; default 15 s.
	CallTimeout time.Duration
	// ActivateTimeout bounds one request to the metastore; default 5 s.
	ActivateTimeout time.Duration
	// RetryMin and RetryMax bound the pause before the metastore is asked again, which
	// doubles from one to the other. Defaults 20 ms and 1 s.
	RetryMin, RetryMax time.Duration
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if len(c.Stores) == 0 || c.Catalog == nil || c.Ask == nil || c.Activate == nil {
		return fmt.Errorf("driver of epoch changes: %w: Stores, Catalog, Ask and Activate are required", vstack.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.AtOnce <= 0 {
		c.AtOnce = 16
	}
	for d, to := range map[*time.Duration]time.Duration{
		&c.CallTimeout: 15 * time.Second, &c.ActivateTimeout: 5 * time.Second,
		&c.RetryMin: 20 * time.Millisecond, &c.RetryMax: time.Second,
	} {
		if *d <= 0 {
			*d = to
		}
	}
	return nil
}
