package quicclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
)

// The nouns of package policy, under the names that users of this package know.
type (
	// Policy decides from which stores chunks are read.
	Policy = policy.Policy
	// StoreSignals is what a client knows of one store.
	StoreSignals = policy.Signals
	// Sessions are what stores gave for the next connection.
	Sessions = stores.Sessions
)

// NewSessions remembers nothing yet.
func NewSessions() *Sessions { return stores.NewSessions() }

// PolicyByName makes a policy; "" is the default one.
func PolicyByName(name string) (Policy, error) { return policy.ByName(name) }

// WriteTransport says how chunk PUTs travel.
type WriteTransport string

const (
	WriteTCP  WriteTransport = "tcp"  // HTTP/1.1 over TLS, a pool of connections a store
	WriteQUIC WriteTransport = "quic" // HTTP/3, on the connection that reads use
)

// ReadTransport says how chunks are read.
type ReadTransport string

const (
	ReadAuto ReadTransport = "auto" // HTTP/3, and HTTP/1.1 over TLS where UDP does not get through
	ReadQUIC ReadTransport = "quic"
	ReadTCP  ReadTransport = "tcp"
)

// Config configures a Client. Zero values take their defaults.
type Config struct {
	// TLS is what to dial with, as identity.ClientTLS makes it. Required. Commit and
	// Chosen need a client certificate in it.
	TLS *tls.Config
	// Network opens the sockets. Default: the operating system.
	Network network.Network
	// Placement returns the current placement map. Required. It is called when the
	// map is older than PlacementMaxAge, or when a store says that it is out of date.
	Placement func(context.Context) (*vstack.PlacementMap, error)
	// PlacementMaxAge is how long a map is used before it is asked for again, in the
	// background. Default 10 s.
	PlacementMaxAge time.Duration

	// Policy decides from which stores chunks are read. Default: the first of policy.Names. It must
	// not be shared between clients.
	Policy Policy
	// ReadTransport defaults to ReadAuto.
	ReadTransport ReadTransport
	// WriteTransport defaults to WriteTCP.
	WriteTransport WriteTransport

	// Sessions remembers what stores gave for the next connection, so that it needs no
	// round trip before its first request. Clients may share it. Default: one of its own.
	Sessions *Sessions

	// HandshakeTimeout bounds dialling a store. Default 3 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a QUIC connection from which nothing comes, although a PING is
	// sent every second. Default 5 s.
	IdleTimeout time.Duration
	// FallbackAfter is how long a read waits for a QUIC handshake before it tries TCP
	// beside it. Default 400 ms.
	FallbackAfter time.Duration
	// FetchRounds bounds how often Fetch goes through all holders. Default 3.
	FetchRounds int

	// Proposer is who this client is in ballots. Default: the owner of each upload. A
	// client that is somebody else never uses round 0: it proposes by the classic path,
	// which any number of clients may do, each under a name of its own.
	Proposer vstack.ProposerID
	// WriteConns bounds the TCP connections a store. Default 16.
	WriteConns int
	// PhaseTimeout bounds one phase of ChunkPaxos, the transfer of the bytes included.
	// Default 15 s, for the sake of slow uplinks; a store that is known to be gone
	// never costs it.
	PhaseTimeout time.Duration
	// CommitAttempts bounds how often one Commit proposes, with a pause that doubles from
	// 10 ms to 1 s in between. Default 8, which is about 2 s of a missing majority.
	CommitAttempts int
	// EpochWait bounds how long one Commit waits for placement groups that change their
	// epoch, all together. Default 60 s: a driver that dies costs ten of them.
	EpochWait time.Duration
	// AwaitLast is how long a chosen chunk waits for its third copy. Default 50 ms.
	AwaitLast time.Duration
	// StragglerTimeout bounds a PUT that runs on after its chunk was chosen. Default 10 s.
	StragglerTimeout time.Duration
	// StragglerBytes bounds the chunks that such PUTs keep in memory; beyond it a
	// Commit waits for its own. Default 64 MiB.
	StragglerBytes int64

	// Logger defaults to discarding.
	Logger *slog.Logger
	// Registry takes the metrics. Clients of one process may share it. Default: none.
	Registry prometheus.Registerer
}

// Validate checks the configuration and fills in the defaults.
func (c *Config) Validate() error {
	if c.TLS == nil {
		return fmt.Errorf("quicclient: %w: no TLS configuration", vstack.ErrInvalid)
	}
	if c.Placement == nil {
		return fmt.Errorf("quicclient: %w: no source of the placement map", vstack.ErrInvalid)
	}
	c.Network = network.Or(c.Network, network.OS{})
	if c.Policy == nil {
		var err error
		if c.Policy, err = policy.ByName(""); err != nil {
			return err
		}
	}
	if c.Sessions == nil {
		c.Sessions = stores.NewSessions()
	}
	setDefault(&c.ReadTransport, ReadAuto)
	setDefault(&c.WriteTransport, WriteTCP)
	switch c.ReadTransport {
	case ReadAuto, ReadQUIC, ReadTCP:
	default:
		return fmt.Errorf("quicclient: %w: read transport %q, want auto, quic or tcp", vstack.ErrInvalid, c.ReadTransport)
	}
	switch c.WriteTransport {
	case WriteTCP, WriteQUIC:
	default:
		return fmt.Errorf("quicclient: %w: write transport %q, want tcp or quic", vstack.ErrInvalid, c.WriteTransport)
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.PlacementMaxAge, 10 * time.Second},
		{&c.HandshakeTimeout, 3 * time.Second},
		{&c.IdleTimeout, 5 * time.Second},
		{&c.FallbackAfter, 400 * time.Millisecond},
		{&c.PhaseTimeout, 15 * time.Second},
		{&c.EpochWait, time.Minute},
		{&c.AwaitLast, 50 * time.Millisecond},
		{&c.StragglerTimeout, 10 * time.Second},
	} {
		if *d.v < 0 {
			return fmt.Errorf("quicclient: %w: negative duration %v", vstack.ErrInvalid, *d.v)
		}
		setDefault(d.v, d.def)
	}
	if c.FetchRounds < 0 || c.WriteConns < 0 || c.CommitAttempts < 0 || c.CommitAttempts > maxAttempts || c.StragglerBytes < 0 {
		return fmt.Errorf("quicclient: %w: bound out of range", vstack.ErrInvalid)
	}
	setDefault(&c.FetchRounds, 3)
	setDefault(&c.WriteConns, 16)
	setDefault(&c.CommitAttempts, 8)
	setDefault(&c.StragglerBytes, 64<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// how is the transport of reads.
func (c *Client) how() stores.Transport {
	switch c.cfg.ReadTransport {
	case ReadQUIC:
		return stores.QUIC
	case ReadTCP:
		return stores.TCP
	}
	return stores.Auto
}
