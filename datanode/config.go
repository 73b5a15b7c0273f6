package datanode

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/superblock/stamp"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// Metastore is what a datanode asks of the catalog; *metaclient.Client is one.
type Metastore interface {
	Heartbeat(ctx context.Context, hb wire.Heartbeat) (wire.HeartbeatReply, error)
	Follow(ctx context.Context, req feed.Request) (feed.Page, error)
	ActivateEpochs(ctx context.Context, changes []wire.EpochChange) (wire.ActivateReply, error)
}

// Peers are the other stores, and this host's by their addresses; *quicclient.Client is one.
type Peers interface {
	// FetchAs brings a chunk, verified, that should lie in fragments of a scheme, or, if that
	// is zero, in copies.
	FetchAs(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef, scheme vstack.Scheme) (quicclient.Fetched, error)
	// Fragment asks a store for a fragment of a chunk, which nothing proves yet. With an
	// error comes what the store holds of the chunk, if it said so.
	Fragment(ctx context.Context, from vstack.Store, v vstack.Value, p vstack.Piece) (data []byte, held []vstack.Piece, err error)
	// Ask sends a message to a store's acceptor.
	Ask(ctx context.Context, to vstack.Store, m message.Message) (message.Reply, error)
}

// StoreConfig is one store of the host.
type StoreConfig struct {
	// Dir is the store's data directory; an empty one becomes a new store.
	Dir string
	// Addr is HOST:PORT of its listeners on UDP and TCP, and what clients dial.
	Addr string
	// Capacity bounds the bytes on disk; 0 is what the file system has.
	Capacity int64
}

// Config is what a datanode needs. Zero values take the defaults of the comments.
type Config struct {
	Host   vstack.HostID
	Stores []StoreConfig
	// CatalogDir holds what the host knows of the catalog, one directory for all its stores,
	// which may be lost; empty keeps it in memory, and every start reads all of it again.
	CatalogDir string
	// CatalogKey encrypts it; nil for a directory that is not encrypted.
	CatalogKey *sealed.Key
	Identity   *identity.Identity
	Meta       Metastore
	Peers      Peers
	Version    wire.Version
	// Network opens the listeners; default the operating system.
	Network network.Network
	// Browsers has each store listen for web pages too (package browser), on UDP at the port
	// of its address + BrowserPorts.
	Browsers bool
	// Registry takes and serves all metrics of the process; default a fresh one.
	Registry *prometheus.Registry
	// Tracer makes spans of requests; nil makes none.
	Tracer *tracing.Tracer
	// Keys opens the data keys of encrypted stores, and Encrypt has new stores be encrypted; nil
	// opens none.
	Keys    stamp.Keys
	Encrypt bool
	// Logger; default slog.Default.
	Logger *slog.Logger
	// FS holds the stores; default the operating system's.
	FS vfs.FS
	// Fatal is called when the state of a disk is unknown; the process must end.
	// Default: log and os.Exit(1).
	Fatal func(error)

	// SuperblockSize is the size of one log file; default superblock's (1 GiB).
	SuperblockSize int64
	// Overhead is how many bytes of garbage the log keeps for each live one; default
	// superblock's (0.1).
	Overhead float64
	// Reserve is kept free on every store for votes and compaction; default superblock's.
	Reserve int64
	// ReadMemory bounds the bodies of reads in flight over all stores; default 256 MiB.
	ReadMemory int64
	// CacheMemory bounds the chunks kept in memory because they are read often, over all
	// stores; default 128 MiB, negative for none.
	CacheMemory int64
	// DecodeMemory bounds what joining fragments takes over all stores, and DecodedMemory
	// the chunks kept because they were joined lately; default 64 MiB and 32 MiB.
	DecodeMemory, DecodedMemory int64
	// WriteMemory bounds the bodies of PUTs in flight over all stores; default 128 MiB.
	WriteMemory int64
	// MaxRequests bounds the requests in flight of one store; default 1,024.
	MaxRequests int
	// RepairRate bounds what the converge loops of all stores fetch, bytes a second;
	// default 64 MiB.
	RepairRate int64
	// HeartbeatEvery is the time between two heartbeats; default 1 s.
	HeartbeatEvery time.Duration
	// DropGrace is how long a chunk stays after nothing names it; default 10 min.
	DropGrace time.Duration
	// RestoreGrace is how long after the catalog was restored from a backup nothing at all
	// is dropped: a newer backup may name it. Default 7 days.
	RestoreGrace time.Duration
	// ConvergeEvery is the longest time between two passes of a converge loop; default 30 s.
	ConvergeEvery time.Duration
	// Settle is the pause between a change of the catalog and converging on it; default 2 s.
	Settle time.Duration
	// ScrubEvery is the time between two scrubs of a store; default 7 days.
	ScrubEvery time.Duration
	// ScrubRate bounds a scrub, bytes a second; default 16 MiB.
	ScrubRate int64
	// CatchUp bounds how long a vote waits for the catalog to reach its upload's index;
	// default 2 s.
	CatchUp time.Duration
	// EpochChanges bounds the epoch changes that this host drives at once; default 16.
	EpochChanges int
	// InstallWait is how long a store waits for the install of an epoch that began
	// without it before it asks for the next epoch; default 30 s.
	InstallWait time.Duration
	// Grace bounds how long requests in flight may take to finish at shutdown; default 5 s.
	Grace time.Duration
}

// restoreGrace leaves time to notice that a backup was not the newest one.
const restoreGrace = 7 * 24 * time.Hour

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if _, err := vstack.ParseHostID(string(c.Host)); err != nil {
		return fmt.Errorf("datanode: %w", err)
	}
	if c.Identity == nil || c.Meta == nil || c.Peers == nil {
		return fmt.Errorf("datanode %s: %w: Identity, Meta and Peers are required", c.Host, vstack.ErrInvalid)
	}
	if len(c.Stores) == 0 {
		return fmt.Errorf("datanode %s: %w: no stores", c.Host, vstack.ErrInvalid)
	}
	dirs := map[string]bool{}
	for _, s := range c.Stores {
		if s.Dir == "" || dirs[s.Dir] {
			return fmt.Errorf("datanode %s: %w: store directory %q is empty or given twice", c.Host, vstack.ErrInvalid, s.Dir)
		}
		dirs[s.Dir] = true
		if _, _, err := net.SplitHostPort(s.Addr); err != nil {
			return fmt.Errorf("datanode %s: store %s: %w: address: %v", c.Host, s.Dir, vstack.ErrInvalid, err)
		}
	}
	if c.RestoreGrace <= 0 {
		c.RestoreGrace = restoreGrace
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Network = network.Or(c.Network, network.OS{})
	if c.FS == nil {
		c.FS = vfs.OS{}
	}
	setDefault(&c.ReadMemory, 256<<20)
	if c.CacheMemory == 0 {
		c.CacheMemory = 128 << 20
	}
	setDefault(&c.WriteMemory, 128<<20)
	setDefault(&c.DecodeMemory, 64<<20)
	setDefault(&c.DecodedMemory, 32<<20)
	setDefault(&c.MaxRequests, 1024)
	setDefault(&c.RepairRate, 64<<20)
	setDefault(&c.HeartbeatEvery, time.Second)
	return nil
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}
