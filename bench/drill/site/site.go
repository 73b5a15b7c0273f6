package site

import (
	"context"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/storm"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

// Site is where the hosts are: a lab of the drill's own, or a cluster that
// somebody else runs.
type Site interface {
	// Hosts are there once it has started.
	Hosts() []Host
	// Start returns once the cluster serves.
	Start(ctx context.Context) error
	// Env is what clients need, once it has started.
	Env() (Clients, error)
	// Ready waits until every host and store is; wait is told for what. It returns early
	// when a host has ended by itself.
	Ready(ctx context.Context, wait func(string)) error
	// Mend takes back what the drill has done to hosts; clients may still be there.
	Mend() error
	// Tidy removes what the loads made, where it would stay otherwise.
	Tidy(made *load.Made) error
	// Close leaves nothing of the drill.
	Close() error
}

// Clients is what the loads need of a site.
type Clients struct {
	Client  *config.Client
	Members []string // HOST:PORT of the metastores' APIs
	Dir     string   // for the loads' files; there is none yet
	FFmpeg  string
}

// Host is one host of the cluster, and what can be done to it. Drills do not know
// whether it is of a lab of their own or given.
type Host interface {
	ID() vstack.HostID
	// Kill ends it as a power cut would. It has ended when Kill returns.
	Kill(ctx context.Context) error
	// Stop asks it to end, and returns when it has.
	Stop(ctx context.Context) error
	// Start runs it again; Site.Ready tells when it serves.
	Start(ctx context.Context) error
	// Pause stops it from running until Resume.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	// Cut takes it off the network until Heal.
	Cut(ctx context.Context, c storm.Cut) error
	Heal(ctx context.Context) error
	// Freeze lets the disk of its Raft log hang until Thaw.
	Freeze(ctx context.Context) error
	Thaw(ctx context.Context) error
	// Ended tells of an end that was not asked for: what is known of it, and whether the
	// host is down still. It tells of each end once at least.
	Ended(ctx context.Context) (exit string, down bool)
	// AwaitEnd waits for an end until ctx ends, and tells whether there was one.
	AwaitEnd(ctx context.Context) bool
}
