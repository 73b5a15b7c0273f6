package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
)

// Config is what an Endpoint needs. Zero limits take the defaults of the comments.
type Config struct {
	// Addr is HOST:PORT for both UDP and TCP; port 0 takes a free port for both.
	Addr string
	// Network opens both listeners; default the operating system.
	Network network.Network
	// TLS is the server's configuration; it verifies a client certificate if one is given.
	TLS *tls.Config
	// ResetKey outlives the process, so that a restarted store ends old QUIC
	// connections at once.
	ResetKey [32]byte
	// Handler answers the requests.
	Handler http.Handler
	// Gate counts and bounds the requests in flight.
	Gate *Gate
	// Logger; default slog.Default.
	Logger *slog.Logger

	// MaxConns bounds the connections of each transport; default 4,096.
	MaxConns int
	// MaxConnsPerIP bounds those of one remote address, of IPv6 its /64; default 512.
	MaxConnsPerIP int
	// ProveAbove is how many QUIC handshakes may be under way before a client has to prove
	// its address first: each costs some hundred KiB, and an address that nobody proved is
	// nobody's. Default 256.
	ProveAbove int
	// MaxStreams bounds the requests that one connection has in flight; default 128.
	MaxStreams int
	// MaxHeader bounds a request's header, bytes; default 16 KiB.
	MaxHeader int
	// HeaderTimeout bounds a TLS handshake and the sending of a header; default 5 s.
	HeaderTimeout time.Duration
	// RequestTimeout bounds reading a request and writing its answer; default 60 s.
	RequestTimeout time.Duration
	// IdleTimeout closes connections without requests; default 2 min.
	IdleTimeout time.Duration
	// Grace bounds how long requests in flight may take to finish at shutdown; default 5 s.
	Grace time.Duration
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("listen address %q: %w: want HOST:PORT: %v", c.Addr, vstack.ErrInvalid, err)
	}
	if c.TLS == nil || c.Handler == nil || c.Gate == nil {
		return fmt.Errorf("endpoint %s: %w: TLS, Handler and Gate are required", c.Addr, vstack.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Network = network.Or(c.Network, network.OS{})
	setDefault(&c.MaxConns, 4096)
	setDefault(&c.MaxConnsPerIP, 512)
	setDefault(&c.ProveAbove, 256)
	setDefault(&c.MaxStreams, 128)
	setDefault(&c.MaxHeader, 16<<10)
	setDefault(&c.HeaderTimeout, 5*time.Second)
	setDefault(&c.RequestTimeout, time.Minute)
	setDefault(&c.IdleTimeout, 2*time.Minute)
	setDefault(&c.Grace, 5*time.Second)
	return nil
}

// ReaderConfig is what a Reader needs.
type ReaderConfig struct {
	// ID is the store's, said in every answer.
	ID vstack.StoreID
	// Store holds the chunks.
	Store Chunks
	// Buffers is the budget for bodies; a process shares one.
	Buffers *Buffers
	// Cache keeps chunks that are read often; a process shares one. Default: caches nothing.
	Cache *Cache
	// Gate tells how busy the store is.
	Gate *Gate
	// Latency keeps the last minute of first-byte times.
	Latency *Latency
	// CorruptPiece is told about each damaged chunk or fragment that a read met; it must not
	// block.
	CorruptPiece func(vstack.ChunkID, vstack.Piece)
	// Rebuild makes a whole chunk of fragments, of which some are here; its bytes are shared.
	// Default nil: what is not here whole is not found.
	Rebuild func(context.Context, vstack.Value, vstack.Scheme) ([]byte, error)
	// Encode makes a fragment of a chunk. Required where Store is Fragments.
	Encode func(chunk []byte, p vstack.Piece) ([]byte, error)
	// Registry for metrics; nil for none. Store metrics carry the label store.
	Registry prometheus.Registerer
	// DiskReads bounds reads at the disk at once; default 8. Reads in turn have their
	// first byte sooner, on average, than reads at the same time.
	DiskReads int
	// QueueTimeout bounds the wait for memory and for the disk; default 15 s, in which a store
	// of 70 MB/s serves 500 readers of a chunk in turn.
	QueueTimeout time.Duration
	// BackgroundWait bounds how long a read of the background class waits while there are
	// others; default 100 ms.
	BackgroundWait time.Duration
	// MinRate is the slowest reader that is served, bytes a second; default 64 KiB.
	MinRate int64
}

// Validate fills the defaults in and refuses what cannot work.
func (c *ReaderConfig) Validate() error {
	if c.Store == nil || c.Buffers == nil || c.Gate == nil || c.Latency == nil {
		return fmt.Errorf("reader of store %s: %w: Store, Buffers, Gate and Latency are required", c.ID, vstack.ErrInvalid)
	}
	if _, ok := c.Store.(Fragments); ok && c.Encode == nil {
		return fmt.Errorf("reader of store %s: %w: Encode is required for a store of fragments", c.ID, vstack.ErrInvalid)
	}
	if c.CorruptPiece == nil {
		c.CorruptPiece = func(vstack.ChunkID, vstack.Piece) {}
	}
	if c.Cache == nil {
		c.Cache = &Cache{}
	}
	setDefault(&c.DiskReads, 8)
	setDefault(&c.QueueTimeout, 15*time.Second)
	setDefault(&c.BackgroundWait, 100*time.Millisecond)
	setDefault(&c.MinRate, 64<<10)
	return nil
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}
