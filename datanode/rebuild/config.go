package rebuild

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
)

// Disk is the store's superblock log.
type Disk interface {
	ID() vstack.StoreID
	Pieces(id vstack.ChunkID) []superblock.Info
	ReadPieceAt(ctx context.Context, id vstack.ChunkID, piece vstack.Piece, p []byte, off int64) (int, error)
	// Fragments lists those behind a chunk, whole chunks at a time.
	Fragments(after vstack.ChunkID, limit int) []superblock.Info
	// Condemn keeps a fragment from being served until it is stored anew.
	Condemn(id vstack.ChunkID, piece vstack.Piece, why error)
}

// Home is where a chunk's pieces are.
type Home struct {
	Slot vstack.Slot
	// Holders are the group's targets with their fragments' numbers.
	Holders []Holder
	// Others are stores that may hold one still: a group may have moved.
	Others []vstack.Store
}

// Holder is a store that should hold a fragment.
type Holder struct {
	vstack.Store
	Number vstack.FragmentNumber
}

// Answer is what a store said of a fragment: its bytes, or which others it holds.
type Answer struct {
	Data []byte
	Held []vstack.Piece
}

// Config is what a Rebuilder needs. Zero bounds take the defaults of the comments.
type Config struct {
	Disk Disk
	// Locate finds a chunk's home; false while nothing living names the chunk.
	Locate func(id vstack.ChunkID) (Home, bool)
	// Ask asks a peer for a fragment of a chunk of size bytes. An error comes with what the
	// peer holds, if it said so.
	Ask func(ctx context.Context, to vstack.Store, v vstack.Value, p vstack.Piece) (Answer, error)
	// Shared are the budget and the cache of all stores of the process.
	Shared *Shared
	// Rotten is told of a fragment here that was condemned; it must not block.
	Rotten func(vstack.ChunkID, vstack.Piece)
	// Logger; default slog.Default.
	Logger *slog.Logger
	// Registry for metrics, which carry the label store; nil for none.
	Registry prometheus.Registerer
	// HedgeAfter is how long to wait for what was asked before one store more is; default
	// 200 ms.
	HedgeAfter time.Duration
	// Timeout bounds one gathering; default 20 s.
	Timeout time.Duration
	// QueueTimeout bounds the wait for memory; default 2 s.
	QueueTimeout time.Duration
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if c.Disk == nil || c.Locate == nil || c.Ask == nil || c.Shared == nil {
		return fmt.Errorf("rebuild: %w: Disk, Locate, Ask and Shared are required", vstack.ErrInvalid)
	}
	if c.Rotten == nil {
		c.Rotten = func(vstack.ChunkID, vstack.Piece) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for d, to := range map[*time.Duration]time.Duration{&c.HedgeAfter: 200 * time.Millisecond, &c.Timeout: 20 * time.Second, &c.QueueTimeout: 2 * time.Second} {
		if *d <= 0 {
			*d = to
		}
	}
	return nil
}
