package converge

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Disk is the store's superblock log.
type Disk interface {
	ID() vstack.StoreID
	Append(ctx context.Context, recs ...superblock.Record) (vstack.LSN, error)
	// LookupPiece is false for a piece that is not here or damaged; the Info says which.
	LookupPiece(id vstack.ChunkID, p vstack.Piece) (superblock.Info, bool)
	// Pieces are what is here of a chunk, damaged ones included.
	Pieces(id vstack.ChunkID) []superblock.Info
	ReadPieceAt(ctx context.Context, id vstack.ChunkID, p vstack.Piece, b []byte, off int64) (int, error)
	// Inventory pages through the chunks, Fragments through the fragments.
	Inventory(after vstack.ChunkID, limit int) []superblock.Info
	Fragments(after vstack.ChunkID, limit int) []superblock.Info
	Scrub(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, vstack.Piece, error)) (superblock.ScrubReport, error)
	Compact(ctx context.Context) (superblock.CompactReport, error)
}

// Catalog is the view that the loop converges on.
type Catalog interface {
	// Snapshot is the view at one moment; the loop closes it.
	Snapshot() View
	// Slots finds a slot for each of the chunks that living videos name, in one look.
	Slots(wanted map[vstack.ChunkID]struct{}) map[vstack.ChunkID]catalog.Place
	// Changed is closed at the next change.
	Changed() <-chan struct{}
}

// Followed is a follower of the catalog as the loop takes it.
type Followed struct{ *catalog.Follower }

// Snapshot is the view at one moment; the loop closes it.
func (f Followed) Snapshot() View { return f.Follower.Snapshot() }

// View is the catalog's view at one moment.
type View interface {
	permit.View
	// References are those of a group; an error means that some may be missing.
	References(pg vstack.PG, yield func(catalog.Reference) bool) error
	Close()
}

// Groups are the placement groups that the store is in, or was in and has something of.
type Groups interface {
	Known() permit.Groups
	// Forget takes groups out, but for those that the newest map gives to the store.
	Forget(groups []vstack.PG) error
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
	Groups  Groups
	// Answer is what the leader last said of the groups; zero when that is not fresh.
	Answer func() permit.Answer
	// Fetch brings a chunk's bytes from peers; the loop verifies them. scheme is that of the
	// fragments in which they should have it, zero for copies.
	Fetch func(ctx context.Context, slot vstack.Slot, v vstack.Value, scheme vstack.Scheme) ([]byte, error)
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
	// Grace is how long a chunk stays after it may go; default 10 min.
	Grace time.Duration
	// Hold reports whether chunks that may go stay beyond their grace; nil never does.
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
	// LastScrub is what an earlier process kept of its last whole pass; zero for none.
	LastScrub wire.ScrubStatus
	// KeepScrub keeps a pass that reached its end for the next process; nil forgets it.
	KeepScrub func(wire.ScrubStatus) error
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if c.Disk == nil || c.Catalog == nil || c.Votes == nil || c.Groups == nil || c.Answer == nil || c.Fetch == nil || c.Complete == nil || c.Rate == nil {
		return fmt.Errorf("converge: %w: Disk, Catalog, Votes, Groups, Answer, Fetch, Complete and Rate are required", vstack.ErrInvalid)
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
	if c.KeepScrub == nil {
		c.KeepScrub = func(wire.ScrubStatus) error { return nil }
	}
	if c.Workers <= 0 {
		c.Workers = 2
	}
	if c.ScrubRate <= 0 {
		c.ScrubRate = 16 << 20
	}
	return nil
}
