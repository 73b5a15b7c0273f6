package raftnode

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
	"github.com/vstack/vstack/metastore/raftnode/transport"
)

// MaxPeers bounds a cluster.
const MaxPeers = 9

// Peer is a member of the configured list.
type Peer struct {
	ID   string
	Addr string // HOST:PORT of its Raft listener
	API  string // HOST:PORT of its REST API, which the configuration of Raft carries
}

// Config is all that a Node needs.
type Config struct {
	// ID is this member's, among Peers.
	ID string
	// Dir keeps the log, the vote and the snapshots. Required.
	Dir string
	// Key encrypts entries and snapshots; nil for a directory that is not encrypted.
	Key *sealed.Key
	// Peers is whom to ask while Dir is empty: the founders, identical on all of them,
	// or, with Join, some members and this one. Later it is only where this member
	// itself serves. Required.
	Peers []Peer
	// Join waits to be added to a cluster and founds none.
	Join bool
	// Listen is where Raft listens. Default: the address of this member in Peers.
	Listen string
	// Network opens the sockets. Default: the operating system.
	Network network.Network
	// ServerTLS makes the listener's configuration for ALPN protocols, and requires
	// client certificates. Required.
	ServerTLS func(protos ...string) *tls.Config
	// ClientTLS dials other members. Required.
	ClientTLS *tls.Config
	// Peer names the verified other end of a connection, or refuses it. Required.
	Peer func(*tls.ConnectionState) (id string, err error)
	// FSM is the catalog. Required.
	FSM raft.FSM
	// Prepare is called once the directory is known to be this member's, before FSM is used.
	// Default nothing.
	Prepare func() error
	// Whole makes of a snapshot on this member's disk, which open opens, one that another member
	// can begin with, and says how many bytes that is. Default: as it is on the disk.
	Whole func(open func() (io.ReadCloser, error)) (io.ReadCloser, int64, error)
	// Fatal is told once of what the process must not survive; it must end the
	// process soon. Required.
	Fatal func(error)
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer

	// RoundTrip is the longest between two members; the defaults of what follows depend on it.
	RoundTrip time.Duration
	// Heartbeat and Election are how long a follower goes without a leader, and a
	// candidate without a majority, for which it may have to connect and ask twice.
	// Default 250 ms, or five round trips.
	Heartbeat, Election time.Duration
	// Lease is how long a leader goes without a majority; it must exceed the worst
	// fsync of the followers and not exceed Heartbeat. Default 200 ms, or four round trips.
	Lease time.Duration
	// Commit is how long followers may wait, with no other traffic, to hear that an
	// entry is committed. Default 25 ms.
	Commit time.Duration
	// DiskTimeout ends a member whose log write takes longer. Default 3 s.
	DiskTimeout time.Duration
	// ProbeEvery is how long the log goes unwritten before a small write tries the disk:
	// a leader with nothing to do would otherwise not notice that it hangs. Default 1 s.
	ProbeEvery time.Duration
	// ApplyTimeout bounds entering the leader's queue. Default 5 s.
	ApplyTimeout time.Duration
	// RPCTimeout bounds one exchange between members. Default 5 s.
	RPCTimeout time.Duration
	// SnapshotEntries and SnapshotEvery: a snapshot is taken when so many entries
	// were applied since the last, looked at so often. Default 8,192 and 30 s.
	SnapshotEntries uint64
	SnapshotEvery   time.Duration
	// TrailingLogs stay behind a snapshot, for followers a little behind. Default 10,240.
	TrailingLogs uint64
	// WrapLog wraps the store under the guard; for fault injection. Default none.
	WrapLog func(disk.Store) disk.Store
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c *Config) withDefaults() {
	orDefault(&c.Logger, slog.Default())
	c.Network = network.Or(c.Network, network.OS{})
	orDefault(&c.Heartbeat, max(250*time.Millisecond, 5*c.RoundTrip))
	orDefault(&c.Election, max(250*time.Millisecond, 5*c.RoundTrip))
	orDefault(&c.Lease, min(max(200*time.Millisecond, 4*c.RoundTrip), c.Heartbeat))
	orDefault(&c.Commit, 25*time.Millisecond)
	orDefault(&c.DiskTimeout, 3*time.Second)
	orDefault(&c.ApplyTimeout, 5*time.Second)
	orDefault(&c.RPCTimeout, 5*time.Second)
	orDefault(&c.SnapshotEntries, 8192)
	orDefault(&c.SnapshotEvery, 30*time.Second)
	orDefault(&c.TrailingLogs, 10240)
	orDefault(&c.ProbeEvery, time.Second)
	orDefault(&c.Listen, c.self().Addr)
}

// hello bounds the question who a member is: to connect takes two round trips, to ask one.
func (c *Config) hello() time.Duration { return max(transport.HelloTimeout, 5*c.RoundTrip) }

// self is this member's entry of the list.
func (c *Config) self() Peer {
	for _, p := range c.Peers {
		if p.ID == c.ID {
			return p
		}
	}
	return Peer{}
}

// transport is what of it other members are reached with.
func (c *Config) transport(members transport.Roster, hello func(genesis string) ([]byte, error)) transport.Config {
	self := c.self()
	return transport.Config{
		Network: c.Network, Listen: c.Listen, Advertise: serverAddress(self.Addr, self.API), ServerTLS: c.ServerTLS, ClientTLS: c.ClientTLS, Peer: c.Peer,
		Roster: members, Hello: hello, MaxPeers: MaxPeers, Patience: c.hello(), Timeout: c.RPCTimeout, Stall: c.DiskTimeout, Logger: c.Logger,
	}
}

// Validate reports the first field that cannot work.
func (c *Config) Validate() error {
	if c.Dir == "" || c.ServerTLS == nil || c.ClientTLS == nil || c.Peer == nil || c.FSM == nil || c.Fatal == nil {
		return fmt.Errorf("raft: %w: Dir, ServerTLS, ClientTLS, Peer, FSM and Fatal are required", vstack.ErrInvalid)
	}
	if len(c.Peers) == 0 || len(c.Peers) > MaxPeers {
		return fmt.Errorf("raft: %d peers: %w: want 1 to %d, this member among them", len(c.Peers), vstack.ErrInvalid, MaxPeers)
	}
	ids, addrs := map[string]bool{}, map[string]bool{}
	for _, p := range c.Peers {
		if _, err := vstack.ParseHostID(p.ID); err != nil {
			return fmt.Errorf("raft: peer: %w", err)
		}
		if _, _, err := net.SplitHostPort(p.Addr); err != nil {
			return fmt.Errorf("raft: peer %s: address %q: %w: %v", p.ID, p.Addr, vstack.ErrInvalid, err)
		}
		if ids[p.ID] || addrs[p.Addr] {
			return fmt.Errorf("raft: peer %s at %s: %w: id or address is listed twice", p.ID, p.Addr, vstack.ErrInvalid)
		}
		ids[p.ID], addrs[p.Addr] = true, true
	}
	if !ids[c.ID] {
		return fmt.Errorf("raft: member %q: %w: not among the peers", c.ID, vstack.ErrInvalid)
	}
	if c.Lease > c.Heartbeat {
		return fmt.Errorf("raft: lease %s: %w: above the heartbeat timeout %s", c.Lease, vstack.ErrInvalid, c.Heartbeat)
	}
	return nil
}
