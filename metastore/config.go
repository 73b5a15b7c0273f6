package metastore

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// epochWindow is how many placement groups change their epoch at once. Those that do
// wait for each other's syncs, so that more of them stop a write for longer; with fewer
// the last group of a store waits for longer until it has a third copy again.
const epochWindow = 8

// PeerConfig is one member of the cluster.
type PeerConfig struct {
	ID   string
	Raft string // HOST:PORT of Raft
	API  string // HOST:PORT of the REST API
}

// Config is all that a member needs.
type Config struct {
	// ID is this member's, among Peers. Required.
	ID string
	// Dir keeps the Raft log and snapshots. Required.
	Dir string
	// Key encrypts them; nil for a directory that is not encrypted.
	Key *sealed.Key
	// Peers is whom to ask while Dir is empty: the founders, identical on all of them,
	// or, with Join, some members and this one. Later the cluster's own configuration
	// says who is a member. Required.
	Peers []PeerConfig
	// Join waits to be added to a cluster and founds none.
	Join bool
	// Identity proves this member to the others and to clients. Required.
	Identity *identity.Identity
	// Network opens the sockets. Default: the operating system.
	Network network.Network
	// Version answers GET /version.
	Version wire.Version
	// Registry takes the metrics and serves /metrics. Default a new one.
	Registry *prometheus.Registry
	// Logger. Default slog.Default().
	Logger *slog.Logger
	Tracer *tracing.Tracer // of requests; nil: none
	// Fatal is told what the process must not survive. Default: log and exit(1).
	Fatal func(error)

	// RoundTrip is the longest between two members, 0 for that of one place. HeartbeatTimeout,
	// ElectionTimeout and LeaseTimeout are Raft's: 250, 250 and 200 ms, or 5, 5 and 4 of it.
	RoundTrip                                       time.Duration
	HeartbeatTimeout, ElectionTimeout, LeaseTimeout time.Duration
	// JoinTimeout is how long a new member may take to catch up before it is removed
	// again. Default 10 min.
	JoinTimeout time.Duration
	// DiskTimeout ends a member whose log write hangs. Default 3 s.
	DiskTimeout time.Duration
	// SnapshotEntries, SnapshotEvery and TrailingLogs: see raftnode.Config.
	SnapshotEntries uint64
	SnapshotEvery   time.Duration
	TrailingLogs    uint64

	// SuspectAfter and DownAfter are a store's silence before it is suspect and down.
	// Default 3 s and 10 s.
	SuspectAfter, DownAfter time.Duration
	// DeadAfter is a store's silence before its roles move to other stores; not before
	// DownAfter. Default 10 min.
	DeadAfter time.Duration
	// RemoveAfter is for how long a member must be dead, or a store without a role silent, to
	// be removed by itself. Default three days; below 0 never.
	RemoveAfter time.Duration
	// BalanceAfter is for how long nothing of the placement may have changed before roles are
	// shared out by themselves to stores that have too few. Default 1 min.
	BalanceAfter time.Duration
	// EpochWindow is how many placement groups change their epoch at once. Default 8.
	EpochWindow int
	// AttemptTime is what a driver gets to bring a group to its next epoch before another
	// is asked. Default 10 s.
	AttemptTime time.Duration
	// ClassWindow is how many videos are on their way from one class to another at once,
	// however much space stores have free. Default 64.
	ClassWindow int
	// PopularEvery is how often the leader compares videos' popularity with the policy; less
	// often where that takes more than a twentieth of the time. Default 10 s.
	PopularEvery time.Duration
	// Tick is how often the leader judges stores. Default 250 ms.
	Tick time.Duration
	// EchoEvery is how often the highest LSNs of stores are committed. Default 30 s.
	EchoEvery time.Duration
	// SettleAfter is how long, while a member's host is missing, registrations must have been quiet before the first
	// placement, so that it spreads over all hosts of a cluster that is starting.
	// Default 1.5 s.
	SettleAfter time.Duration
	// ViewsEvery is how often a member commits the views that it counted. Default 500 ms.
	ViewsEvery time.Duration
	// FeedHold is how long a feed request waits for a change, at most 30 s. Default 25 s.
	FeedHold time.Duration

	// WrapLog injects faults under the Raft log; see raftnode.Config.
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
	orDefault(&c.Registry, prometheus.NewRegistry())
	c.Network = network.Or(c.Network, network.OS{})
	if c.Fatal == nil {
		logger := c.Logger
		c.Fatal = func(err error) {
			logger.Error("metastore exits", "err", err)
			os.Exit(1)
		}
	}
	orDefault(&c.JoinTimeout, 10*time.Minute)
	orDefault(&c.SuspectAfter, 3*time.Second)
	orDefault(&c.DownAfter, 10*time.Second)
	orDefault(&c.DeadAfter, 10*time.Minute)
	orDefault(&c.RemoveAfter, 72*time.Hour)
	orDefault(&c.BalanceAfter, time.Minute)
	orDefault(&c.EpochWindow, epochWindow)
	orDefault(&c.AttemptTime, 10*time.Second)
	orDefault(&c.ClassWindow, 64)
	orDefault(&c.PopularEvery, 10*time.Second)
	orDefault(&c.Tick, 250*time.Millisecond)
	orDefault(&c.EchoEvery, 30*time.Second)
	orDefault(&c.SettleAfter, 1500*time.Millisecond)
	orDefault(&c.ViewsEvery, 500*time.Millisecond)
	orDefault(&c.FeedHold, 25*time.Second)
	if c.Version.Host == "" {
		c.Version.Host = vstack.HostID(c.ID)
	}
}

// Validate reports the first field that cannot work; raftnode checks what is Raft's.
func (c *Config) Validate() error {
	if c.Identity == nil || c.Dir == "" {
		return fmt.Errorf("metastore: %w: Identity and Dir are required", vstack.ErrInvalid)
	}
	if _, ok := c.peer(c.ID); !ok {
		return fmt.Errorf("metastore: member %q: %w: not among the peers", c.ID, vstack.ErrInvalid)
	}
	for _, p := range c.Peers {
		if _, _, err := net.SplitHostPort(p.API); err != nil {
			return fmt.Errorf("metastore: peer %s: API address %q: %w: %v", p.ID, p.API, vstack.ErrInvalid, err)
		}
	}
	if c.SuspectAfter > c.DownAfter || c.Tick > c.SuspectAfter {
		return fmt.Errorf("metastore: %w: want Tick ≤ SuspectAfter ≤ DownAfter, have %s, %s, %s", vstack.ErrInvalid, c.Tick, c.SuspectAfter, c.DownAfter)
	}
	if c.DeadAfter < 0 || c.EpochWindow < 1 || c.EpochWindow > vstack.PlacementGroups || c.AttemptTime < c.Tick {
		return fmt.Errorf("metastore: %w: want DeadAfter > 0, EpochWindow of 1 to %d, AttemptTime ≥ Tick, have %s, %d, %s",
			vstack.ErrInvalid, vstack.PlacementGroups, c.DeadAfter, c.EpochWindow, c.AttemptTime)
	}
	if c.ClassWindow < 1 || c.PopularEvery < c.Tick {
		return fmt.Errorf("metastore: %w: ClassWindow %d, PopularEvery %s: want 1 or more, and at least a tick", vstack.ErrInvalid, c.ClassWindow, c.PopularEvery)
	}
	if c.FeedHold > 30*time.Second {
		return fmt.Errorf("metastore: feed hold %s: %w: at most 30 s", c.FeedHold, vstack.ErrInvalid)
	}
	return nil
}

func (c *Config) peer(id string) (PeerConfig, bool) {
	for _, p := range c.Peers {
		if p.ID == id {
			return p, true
		}
	}
	return PeerConfig{}, false
}
