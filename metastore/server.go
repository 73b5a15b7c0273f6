package metastore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/bounds"
	"github.com/vstack/vstack/metastore/callers"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/classes"
	"github.com/vstack/vstack/metastore/conns"
	"github.com/vstack/vstack/metastore/duties"
	"github.com/vstack/vstack/metastore/forward"
	"github.com/vstack/vstack/metastore/held"
	"github.com/vstack/vstack/metastore/liveness"
	"github.com/vstack/vstack/metastore/membership"
	"github.com/vstack/vstack/metastore/news"
	"github.com/vstack/vstack/metastore/outlook"
	"github.com/vstack/vstack/metastore/proposals"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/raftnode/disk"
	"github.com/vstack/vstack/metastore/views"
	"github.com/vstack/vstack/metastore/watching"
)

const (
	maxConnections = 4096
	maxHeader      = 32 << 10
	maxPublishes   = 8 // decoded at a time
	drainTime      = 5 * time.Second
)

// Server is one running member.
type Server struct {
	cfg     Config
	catalog *catalog.Catalog
	blobs   *blobs.Store // of the catalog
	node    *raftnode.Node
	running atomic.Pointer[raftnode.Node] // node, for whom Raft asks while it is being opened
	monitor *liveness.Monitor
	views   *views.Counter
	hour    *views.Hour
	duty    duties.Member
	epochs  *duties.Epochs
	classes *duties.Classes
	members *membership.Manager
	peers   *forward.Forwarder
	http    *http.Server
	api     net.Listener
	fresh   conns.Fresh
	backups *outlook.Backups
	held    held.Watch
	maps    news.MapCache
	// watching keeps private videos from who may not watch them.
	watching watching.Guard
	callers  callers.Callers

	bounds    *bounds.Bounds
	publishes chan struct{}
	restores  chan struct{} // holds a token while a backup is read
	proposals *proposals.Proposals
	readIndex *raftnode.Rounds

	ctx      context.Context // ends with Close; request handlers that wait end with it
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// Open recovers the member's state, joins the cluster and claims the API's address;
// Run serves it.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, bounds: bounds.New(), publishes: make(chan struct{}, maxPublishes), restores: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.readIndex = raftnode.NewRounds()
	if err := s.makeCatalog(); err != nil {
		return nil, err
	}
	var err error
	s.monitor = liveness.New(liveness.Config{SuspectAfter: cfg.SuspectAfter, DownAfter: cfg.DownAfter, EchoEvery: cfg.EchoEvery, Tick: cfg.Tick})
	s.views, s.hour = views.New(), views.NewHour()
	if err := s.takeDuties(); err != nil {
		return nil, err
	}
	if s.backups, err = outlook.Open(cfg.Dir, cfg.Registry, s.duty); err != nil {
		return nil, err
	}
	s.peers = forward.New(forward.Config{ID: cfg.ID, Identity: cfg.Identity, Network: cfg.Network, Leader: func() string { return s.node.Leader() }, API: s.apiOf})
	self, _ := cfg.peer(cfg.ID)
	listener, err := cfg.Network.Listen(ctx, "tcp", self.API)
	if err != nil {
		return nil, fmt.Errorf("listen for the metastore API: %w", err)
	}
	s.api = admission.NewConns(maxConnections, maxConnections/8).Listen(listener)
	if err := s.openRaft(); err != nil {
		return nil, errors.Join(err, s.api.Close(), s.blobs.Close())
	}
	s.proposals = proposals.New(s.catalog, s.node)
	s.held = held.Watch{Own: func() (int, bool) { return len(s.epochs.Losses()), s.Leading() }, Ask: s.peers.AskLeader}
	if err := s.held.Register(cfg.Registry); err != nil {
		return nil, errors.Join(err, s.api.Close(), s.node.Close(), s.blobs.Close())
	}
	cfg.Identity.OnRevoke(s.node.JudgePeers)
	s.members, err = membership.New(membership.Config{ID: cfg.ID, Node: s.node, Self: s.status().Self, Ask: s.peers.Ask,
		Applied: func() uint64 { return s.catalog.View().Applied() },
		Level:   func() vstack.Level { return s.catalog.View().Level() }, Logger: cfg.Logger, Registry: cfg.Registry,
		RoundTrip: cfg.RoundTrip, Tick: cfg.Tick, JoinTimeout: cfg.JoinTimeout, RemoveAfter: cfg.RemoveAfter})
	if err != nil {
		return nil, errors.Join(err, s.api.Close(), s.node.Close(), s.blobs.Close())
	}
	s.http = &http.Server{
		Handler:           watch.Carry(cfg.Tracer.Handler(cfg.Logger, cfg.Identity.Guard(s.handler(), wire.Refuse))),
		TLSConfig:         cfg.Identity.ServerTLS(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      2 * time.Minute, // the longest: a feed that is held, then sent
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          answers.QuietLog(cfg.Logger),
		ConnState:         s.fresh.Track,
	}
	return s, nil
}

// makeCatalog makes the catalog and the store of its manifests, which raftnode opens (Prepare) once
// it knows that the directory is this member's.
func (s *Server) makeCatalog() (err error) {
	c := s.cfg
	s.blobs, err = blobs.New(blobs.Config{Dir: filepath.Join(c.Dir, disk.Raft, disk.Manifests), Key: c.Key, Fatal: c.Fatal, Logger: c.Logger})
	if err != nil {
		return err
	}
	s.catalog, err = catalog.New(catalog.Config{Fatal: c.Fatal, Logger: c.Logger, Registry: c.Registry, Blobs: s.blobs, Oldest: func() uint64 {
		if node := s.running.Load(); node != nil {
			return node.OldestSnapshot()
		}
		return 0
	}})
	return err
}

// openRaft begins Raft, and goes no further with a snapshot that the catalog has refused: the
// library begins with an older one then, from which the log may not reach.
func (s *Server) openRaft() (err error) {
	if s.node, err = raftnode.Open(s.raftConfig()); err != nil {
		return errors.Join(s.catalog.Refused(), err)
	}
	if err := s.catalog.Refused(); err != nil {
		return errors.Join(err, s.node.Close())
	}
	s.running.Store(s.node)
	return nil
}

// takeDuties makes what the member does while it leads.
func (s *Server) takeDuties() (err error) {
	c := s.cfg
	s.duty = duties.Member{
		Catalog: s.catalog, Monitor: s.monitor, Logger: c.Logger, Tick: c.Tick, SuspectAfter: c.SuspectAfter,
		Leading: func() (raftnode.Leadership, bool) { return s.node.Leading() },
		Propose: func(ctx context.Context, t command.Type, payload any) (*command.Result, error) {
			return s.proposals.Propose(ctx, t, payload, "", "")
		},
	}
	s.epochs, err = duties.NewEpochs(s.duty, duties.EpochsConfig{Window: c.EpochWindow, AttemptTime: c.AttemptTime, DeadAfter: c.DeadAfter, BalanceAfter: c.BalanceAfter}, c.Registry)
	if err != nil {
		return err
	}
	s.classes, err = duties.NewClasses(s.duty, classes.Config{Window: c.ClassWindow}, c.PopularEvery, c.Registry)
	return err
}

func (s *Server) raftConfig() raftnode.Config {
	c := s.cfg
	rc := raftnode.Config{
		ID: c.ID, Dir: filepath.Join(c.Dir, disk.Raft), Key: c.Key,
		Join:      c.Join,
		Network:   c.Network,
		ServerTLS: c.Identity.MutualTLS,
		ClientTLS: c.Identity.ClientTLS(),
		Peer:      s.raftPeer,
		FSM:       s.catalog, Fatal: c.Fatal, Logger: c.Logger, Registry: c.Registry,
		RoundTrip: c.RoundTrip, Heartbeat: c.HeartbeatTimeout, Election: c.ElectionTimeout, Lease: c.LeaseTimeout,
		DiskTimeout: c.DiskTimeout, SnapshotEntries: c.SnapshotEntries, SnapshotEvery: c.SnapshotEvery, TrailingLogs: c.TrailingLogs,
		WrapLog: c.WrapLog, Prepare: s.blobs.Open,
		Whole: func(open func() (io.ReadCloser, error)) (io.ReadCloser, int64, error) {
			return form.Whole(s.blobs, open)
		},
	}
	for _, p := range c.Peers {
		rc.Peers = append(rc.Peers, raftnode.Peer{ID: p.ID, Addr: p.Raft, API: p.API})
	}
	return rc
}

// raftPeer names a host that may speak Raft: an administrator's certificate is not enough,
// nor is one for other roles.
func (s *Server) raftPeer(cs *tls.ConnectionState) (string, error) {
	if err := s.cfg.Identity.Revoked(cs); err != nil {
		return "", err
	}
	p, ok := identity.PeerOf(cs)
	return p.ID, identity.Require(p, ok, vstack.RoleMeta)
}

// Run serves until ctx ends and then closes the member.
func (s *Server) Run(ctx context.Context) error {
	assign := duties.Assign{Member: s.duty, SettleAfter: s.cfg.SettleAfter, Start: s.startLevel(), Members: s.hosts}
	ghosts := duties.Ghosts{Member: s.duty, After: s.cfg.RemoveAfter, Standing: s.standing}
	for _, duty := range []func(context.Context){s.duty.Judge, assign.Run, s.epochs.Run, s.classes.Run, ghosts.Run, s.runViews,
		s.members.RunJoins, s.members.RunDead, s.members.RunDisk, s.held.Run} {
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			duty(s.ctx)
		}()
	}
	served := make(chan error, 1)
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		served <- s.http.ServeTLS(s.api, "", "")
	}()
	select {
	case <-ctx.Done():
		return s.Close()
	case err := <-served:
		if errors.Is(err, http.ErrServerClosed) {
			return s.Close()
		}
		return errors.Join(fmt.Errorf("serve the metastore API: %w", err), s.Close())
	}
}

// Close hands leadership over, lets requests finish and stops the member.
func (s *Server) Close() error {
	s.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		s.flushViews(ctx)
		if _, leads := s.node.Leading(); leads && len(s.node.Voters()) > 1 {
			if err := s.node.Transfer(""); err != nil {
				s.cfg.Logger.Info("leadership was not handed over", "err", err)
			}
		}
		s.cancel() // wakes the requests that wait
		s.fresh.Close()
		if err := s.http.Shutdown(ctx); err != nil {
			s.closeErr = errors.Join(s.http.Close(), fmt.Errorf("drain the metastore API: %w", err))
		}
		_ = s.api.Close() // when Run never served it
		s.wg.Wait()
		s.closeErr = errors.Join(s.closeErr, s.node.Close(), s.blobs.Close())
		s.peers.Close()
	})
	return s.closeErr
}

// Leading reports whether this member leads.
func (s *Server) Leading() bool {
	_, ok := s.node.Leading()
	return ok
}
