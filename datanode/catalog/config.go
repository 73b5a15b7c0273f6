package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// Feed is the metastore, as metaclient gives it.
type Feed interface {
	// Follow answers what changed; with nothing to tell it may take 30 s, or Wait.
	Follow(ctx context.Context, req feed.Request) (feed.Page, error)
}

// Config is what a Follower needs. Zero values take the defaults of the comments.
type Config struct {
	Feed Feed
	// Dir holds the view across restarts; empty keeps it in memory, and every start reads
	// the feed from its beginning.
	Dir string
	// FS holds Dir; default the operating system's.
	FS vfs.FS
	// Stores are this host's; they decide the interest.
	Stores []vstack.StoreID
	// Cluster is the catalog that the stores belong to, zero while they belong to none, and
	// Seen the index to which they have followed it: a view of another catalog, or an older
	// one, is read anew.
	Cluster vstack.ClusterID
	Seen    uint64
	// Known are groups of interest besides those that the map gives to Stores: groups that a
	// store has left and still has something of.
	Known []vstack.PG
	// Join is told every map before it counts, so that a store notes durably which groups it
	// is in before it holds anything of them. On an error the page is asked for again. nil for
	// nobody.
	Join func(*vstack.PlacementMap) error
	// OnStart is told, before the first page, what was known when the process started; it is
	// not called when that is nothing. OnPage is told every page in order. Both are called by
	// one goroutine, and may be nil.
	OnStart func(Start)
	OnPage  func(feed.Page)
	// Fatal is told when the rows cannot be read or written; the process must end. Default:
	// log and os.Exit(1).
	Fatal func(error)
	// Logger; default slog.Default.
	Logger *slog.Logger
	// Registry for metrics; nil for none.
	Registry prometheus.Registerer
	// PollTimeout bounds one request of the feed; default 45 s.
	PollTimeout time.Duration
	// RetryMin and RetryMax bound the pause after a failed request, which doubles from
	// one to the other; defaults 100 ms and 3 s.
	RetryMin, RetryMax time.Duration
}

// Start is what the view knew when the process started, for acceptors.
type Start struct {
	Index     uint64
	Placement *vstack.PlacementMap
	// Uploads are those that are open, and the last maxEnded that ended, oldest first.
	Uploads []vstack.Upload
	// Upload answers, while OnStart runs, what is known of any upload; false for one that was
	// opened later.
	Upload func(vstack.UploadID) (vstack.Upload, bool)
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if c.Feed == nil || len(c.Stores) == 0 {
		return fmt.Errorf("catalog follower: %w: Feed and Stores are required", vstack.ErrInvalid)
	}
	c.Stores = slices.Clone(c.Stores)
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Dir == "" {
		c.Dir, c.FS = "catalog", vfs.NewMem()
	}
	if c.Join == nil {
		c.Join = func(*vstack.PlacementMap) error { return nil }
	}
	if c.OnStart == nil {
		c.OnStart = func(Start) {}
	}
	if c.OnPage == nil {
		c.OnPage = func(feed.Page) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Fatal == nil {
		log := c.Logger
		c.Fatal = func(err error) {
			log.Error("the catalog view is lost", "error", err)
			os.Exit(1)
		}
	}
	setDefault(&c.PollTimeout, 45*time.Second)
	setDefault(&c.RetryMin, 100*time.Millisecond)
	setDefault(&c.RetryMax, 3*time.Second)
	return nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}
