package browser

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
)

// Config is what a Door needs. Zero limits take the defaults of the comments.
type Config struct {
	// Addr is HOST:PORT on UDP.
	Addr string
	// Network opens the listener; default the operating system.
	Network network.Network
	// Certs are shown to whoever comes; the stores of a host share them.
	Certs *Certs
	// ResetKey outlives the process, so that a restarted store ends old connections at once.
	ResetKey [32]byte
	// Chunk and Fragment answer GET of the store's routes of these names.
	Chunk, Fragment http.Handler
	// Gate counts and bounds the reads in flight, with the store's other requests.
	Gate *serve.Gate
	// Logger; default slog.Default.
	Logger *slog.Logger

	// MaxConns bounds the connections, and so the sessions; default 1,024.
	MaxConns int
	// MaxConnsPerIP bounds those of one remote address, of IPv6 its /64; default 128.
	MaxConnsPerIP int
	// ProveAbove is how many handshakes may be under way before a client has to prove its
	// address first; default 256.
	ProveAbove int
	// MaxStreams bounds the reads that one session has in flight; default 64.
	MaxStreams int
	// OpenTimeout bounds a handshake, the wait for a session, and the sending of a request;
	// default 5 s.
	OpenTimeout time.Duration
	// ReadTimeout bounds a read; default 60 s.
	ReadTimeout time.Duration
	// IdleTimeout ends sessions without reads; default 2 min.
	IdleTimeout time.Duration
	// SignalsEvery is the time between two datagrams of signals; default 1 s.
	SignalsEvery time.Duration
	// Grace bounds how long reads in flight may take to finish at shutdown; default 5 s.
	Grace time.Duration
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("door for browsers at %q: %w: want HOST:PORT: %v", c.Addr, vstack.ErrInvalid, err)
	}
	if c.Certs == nil || c.Chunk == nil || c.Fragment == nil || c.Gate == nil {
		return fmt.Errorf("door for browsers at %s: %w: Certs, Chunk, Fragment and Gate are required", c.Addr, vstack.ErrInvalid)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Network = network.Or(c.Network, network.OS{})
	for v, def := range map[*int]int{&c.MaxConns: 1024, &c.MaxConnsPerIP: 128, &c.ProveAbove: 256, &c.MaxStreams: 64} {
		if *v <= 0 {
			*v = def
		}
	}
	for v, def := range map[*time.Duration]time.Duration{
		&c.OpenTimeout: 5 * time.Second, &c.ReadTimeout: time.Minute, &c.IdleTimeout: 2 * time.Minute, &c.SignalsEvery: time.Second, &c.Grace: 5 * time.Second,
	} {
		if *v <= 0 {
			*v = def
		}
	}
	return nil
}
