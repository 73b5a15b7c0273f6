package vote

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/datanode/tap"
	"github.com/vstack/vstack/internal/vstack"
)

// Log is the store's superblock log.
type Log interface {
	ID() vstack.StoreID
	LSN() vstack.LSN
	// Append is durable on return: ErrDiskFull and ErrClosed say that nothing was
	// written, any other error that nobody knows.
	Append(ctx context.Context, recs ...superblock.Record) (vstack.LSN, error)
	// AppendAbove is Append with LSNs above the given one.
	AppendAbove(ctx context.Context, above vstack.LSN, recs ...superblock.Record) (vstack.LSN, error)
	State(yield func(superblock.Record, vstack.LSN) bool)
	Lookup(id vstack.ChunkID) (superblock.Info, bool)
	ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error)
}

// Config is what a Voter needs. Zero bounds take the defaults of the comments.
type Config struct {
	Log Log
	// Fetch brings a chunk's bytes from a peer; the Voter verifies them.
	Fetch func(ctx context.Context, slot vstack.Slot, v vstack.Value) ([]byte, error)
	// Buffers is the budget for bodies of PUTs; a process shares one.
	Buffers *serve.Buffers
	// Fatal is called once when the state on disk is unknown; the process must exit.
	// Default: log and os.Exit(1).
	Fatal func(error)
	// Drives says whether a host may change the epoch of a group. Default: any may.
	Drives func(vstack.HostID, vstack.PG) error
	// Tap, when set, hears what comes and what is answered.
	Tap *tap.Tap
	// Logger; default slog.Default.
	Logger *slog.Logger
	// Registry for metrics, which carry the label store; nil for none.
	Registry prometheus.Registerer
	// FetchTimeout bounds a fetch from peers; default 10 s.
	FetchTimeout time.Duration
	// QueueTimeout bounds a PUT's wait for memory; default 5 s.
	QueueTimeout time.Duration
	// BodyTimeout bounds how long a PUT's body may take; default 30 s.
	BodyTimeout time.Duration
	// InstallWait is how long the driver of an epoch has to bring the install after its
	// activation, before the store reports that it cannot take part; default 30 s.
	InstallWait time.Duration
	// CatchUp bounds a request's wait for the catalog; default 2 s.
	CatchUp time.Duration
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if c.Log == nil || c.Fetch == nil || c.Buffers == nil {
		return fmt.Errorf("voter: %w: Log, Fetch and Buffers are required", vstack.ErrInvalid)
	}
	if c.Drives == nil {
		c.Drives = func(vstack.HostID, vstack.PG) error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Fatal == nil {
		logger := c.Logger
		c.Fatal = func(err error) {
			logger.Error("the state on disk is unknown, the process ends", "error", err)
			os.Exit(1)
		}
	}
	for d, to := range map[*time.Duration]time.Duration{
		&c.FetchTimeout: 10 * time.Second, &c.QueueTimeout: 5 * time.Second,
		&c.BodyTimeout: 30 * time.Second, &c.CatchUp: 2 * time.Second, &c.InstallWait: 30 * time.Second,
	} {
		if *d <= 0 {
			*d = to
		}
	}
	return nil
}
