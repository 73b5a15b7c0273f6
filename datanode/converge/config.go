package converge

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
)

// Disk is the store's superblock log.
type Disk interface {
	ID() vstack.StoreID
	Append(ctx context.Context, recs ...superblock.Record) (vstack.LSN, error)
	Lookup(id vstack.ChunkID) (superblock.Info, bool)
	Inventory(after vstack.ChunkID, limit int) []superblock.Info
	Scrub(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, error)) (superblock.ScrubReport, error)
	Compact(ctx context.Context) (superblock.CompactReport, error)
}

// Catalog is the view that the loop converges on.
type Catalog interface {
	// Holdings lists the slots of living videos that a store is a target of.
	Holdings(store vstack.StoreID, yield func(catalog.Holding) bool)
	// Slot is one slot of a living video that holds a chunk.
	Slot(id vstack.ChunkID) (vstack.Slot, uint32, bool)
	// Changed is closed at the next change.
	Changed() <-chan struct{}
	// Applied is the index up to which the view is complete.
	Applied() uint64
}

// Votes knows which chunks the acceptor's votes name.
type Votes interface {
	// Plan starts a plan of what to drop; Drop takes nothing that was voted for since.
	Plan()
	Voted() map[vstack.ChunkID]vstack.Slot
	Drop(ctx context.Context, ids []vstack.ChunkID) (int, error)
}

// Config is what a Loop needs. Zero bounds take the defaults of the comments.
type Config struct {
	Disk    Disk
	Catalog Catalog
	Votes   Votes
	// Fetch brings a chunk's bytes from a peer; the loop verifies them.
	Fetch func(ctx context.Context, slot vstack.Slot, v vstack.Value) ([]byte, error)
	// Complete reports whether the view is complete, so that the absence of a chunk
	// from it means that nothing names the chunk, and whether the log may grow. Until
	// then the loop only counts what is missing.
	Complete func() bool
	// ReadP99 is the store's recent time to first byte; nil never yields.
	ReadP99 func() time.Duration
	// Rate and Burst bound the bytes that workers of all stores together fetch.
	Rate *Budget
	// Logger; default slog.Default.
	Logger *slog.Logger
	// Registry for metrics, which carry the label store; nil for none.
	Registry prometheus.Registerer

	// Settle is the pause between a change of the catalog and acting on it: the last
	// acceptor of a fresh chunk may still be receiving it. Default 2 s.
	Settle time.Duration
	// Interval is the longest time between two passes; default 30 s.
	Interval time.Duration
	// Grace is how long a chunk stays after nothing names it; default 10 min.
	Grace time.Duration
	// Hold reports whether unnamed chunks stay beyond their grace; nil never does.
	Hold func() bool
	// MaxReadP99 makes the loop yield while reads are slower; default 100 ms.
	MaxReadP99 time.Duration
	// FetchTimeout bounds one fetch; default 30 s.
	FetchTimeout time.Duration
	// Workers fetch at once; default 2.
	Workers int
	// ScrubEvery is the time between two scrubs; default 7 days.
	ScrubEvery time.Duration
	// ScrubRate bounds a scrub, bytes a second; default 16 MiB.
	ScrubRate int64
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if c.Disk == nil || c.Catalog == nil || c.Votes == nil || c.Fetch == nil || c.Complete == nil || c.Rate == nil {
		return fmt.Errorf("converge: %w: Disk, Catalog, Votes, Fetch, Complete and Rate are required", vstack.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.ReadP99 == nil {
		c.ReadP99 = func() time.Duration { return 0 }
	}
	if c.Hold == nil {
		c.Hold = func() bool { return false }
	}
	for d, to := range map[*time.Duration]time.Duration{
		&c.Settle: 2 * time.Second, &c.Interval: 30 * time.Second, &c.Grace: 10 * time.Minute,
		&c.MaxReadP99: 100 * time.Millisecond, &c.FetchTimeout: 30 * time.Second, &c.ScrubEvery: 7 * 24 * time.Hour,
	} {
		if *d <= 0 {
			*d = to
		}
	}
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.ScrubRate <= 0 {
		c.ScrubRate = 16 << 20
	}
	return nil
}
