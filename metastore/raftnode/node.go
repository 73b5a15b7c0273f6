package raftnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
	"github.com/vstack/vstack/metastore/raftnode/transport"
)

const (
	maxInFlight  = 4096 // writes that wait for their commit
	maxAppend    = 512  // entries of one AppendEntries
	logCacheSize = 512
)

// Node is one running Raft member.
type Node struct {
	cfg       Config
	raft      *raft.Raft
	log       raft.LogStore
	bolt      *raftboltdb.BoltStore
	guard     *disk.Guard
	snapshots *disk.Snapshots
	transport *transport.Transport
	streams   *transport.Streams
	origin    atomic.Pointer[origin] // of the directory; written by settle and the guard
	standing  atomic.Pointer[standing]
	ready     atomic.Bool // raft is set, for connections that come early
	members   atomic.Pointer[memberList]

	slots       chan struct{}
	notify      chan bool
	established atomic.Pointer[Leadership]
	changed     chan struct{} // closed and replaced with leadership
	changedMu   sync.Mutex
	watching    atomic.Bool // a transfer that refused something

	opsMu   sync.Mutex
	closing bool
	ops     sync.WaitGroup // requests that wait for Raft's answer

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
}

// Leadership is a term that this member leads and whose barrier is applied.
type Leadership struct {
	Term  uint64
	Since time.Time
}

// Open recovers the member's state, or bootstraps it, and starts Raft.
func Open(cfg Config) (*Node, error) {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make raft directory: %w", err)
	}
	n := &Node{cfg: cfg, slots: make(chan struct{}, maxInFlight), notify: make(chan bool, 64), changed: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.open(); err != nil {
		n.release()
		return nil, err
	}
	n.wg.Add(2)
	go n.follow()
	go n.settle()
	return n, nil
}

func (n *Node) open() error {
	var err error
	n.bolt, err = raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(n.cfg.Dir, "raft.db"),
		// Without the timeout a second process on the directory would wait for ever.
		BoltOptions: &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return fmt.Errorf("open raft log %s: %w", n.cfg.Dir, err)
	}
	store, err := disk.SealEntries(n.bolt, n.cfg.Key)
	if err != nil {
		return err
	}
	if n.cfg.WrapLog != nil {
		store = n.cfg.WrapLog(store)
	}
	n.guard = disk.NewGuard(store, n.cfg.DiskTimeout, n.cfg.ProbeEvery, n.fatal)
	if n.log, err = raft.NewLogCache(logCacheSize, n.guard); err != nil {
		return fmt.Errorf("make raft log cache: %w", err)
	}
	hlog := newLogger(n.cfg.Logger)
	snaps, err := disk.OpenSnapshots(n.cfg.Dir, n.cfg.Key, hlog)
	if err != nil {
		return err
	}
	if n.cfg.Whole != nil {
		snaps.Travel(n.cfg.Whole)
	}
	n.snapshots = snaps
	stable := &disk.Votes{StableStore: n.guard}
	from, err := n.claim(stable, snaps)
	if err != nil {
		return err
	}
	if n.cfg.Prepare != nil {
		if err := n.cfg.Prepare(); err != nil {
			return err
		}
	}
	genesis := from.Genesis
	if !from.Started && len(from.Founders) > 0 {
		genesis = "" // cut off while it founded: settle goes on
	}
	if n.streams, err = transport.Listen(n.cfg.transport(&roster{n: n}, n.sayHello), genesis); err != nil {
		return err
	}
	n.transport = transport.New(n.streams, hlog)
	conf := n.raftConfig()
	conf.Logger, conf.LocalID = hlog, serverID(from.ID, from.Instance)
	if n.raft, err = raft.NewRaft(conf, n.cfg.FSM, n.log, stable, snaps, n.transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	n.ready.Store(true)
	return n.register()
}

// claim finds out whose the directory is.
func (n *Node) claim(stable raft.StableStore, snaps raft.SnapshotStore) (origin, error) {
	has, err := hasState(n.log, stable, snaps)
	if err != nil {
		return origin{}, err
	}
	from, err := claim(n.cfg, has)
	if err != nil {
		return from, err
	}
	n.origin.Store(&from)
	n.standing.Store(&standing{is: Forming})
	if from.Genesis != "" {
		n.standing.Store(&standing{is: Belongs})
		if !from.Started {
			n.startOnFirstWrite()
		}
	}
	return from, nil
}

func (n *Node) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.ShutdownOnRemove = false // a member that was removed says so, and ends with its process
	c.HeartbeatTimeout = n.cfg.Heartbeat
	c.ElectionTimeout = n.cfg.Election
	c.LeaderLeaseTimeout = n.cfg.Lease
	c.CommitTimeout = n.cfg.Commit
	c.MaxAppendEntries = maxAppend
	c.BatchApplyCh = true
	c.SnapshotThreshold = n.cfg.SnapshotEntries
	c.SnapshotInterval = n.cfg.SnapshotEvery
	c.TrailingLogs = n.cfg.TrailingLogs
	c.NotifyCh = n.notify
	c.NoLegacyTelemetry = true
	return c
}

// fatal passes on what the process must not survive.
func (n *Node) fatal(err error) {
	n.cfg.Logger.Error("raft member cannot go on", "member", n.cfg.ID, "err", err)
	n.established.Store(nil)
	n.cfg.Fatal(err)
}

// Apply commits one entry and returns what the FSM answered. Errors: ErrNoLeader
// (nothing happened), ErrOutcomeUnknown (it may have), ErrUnavailable (queue is full).
func (n *Node) Apply(ctx context.Context, entry []byte) (any, error) {
	if _, ok := n.Leading(); !ok {
		return nil, fmt.Errorf("commit: %w: %s does not lead", vstack.ErrNoLeader, n.cfg.ID)
	}
	select {
	case n.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("commit: %w: waiting for a place in the queue", vstack.ErrUnavailable)
	}
	defer func() { <-n.slots }()
	if !n.enter() {
		return nil, fmt.Errorf("commit: %w: %s is closing", vstack.ErrNoLeader, n.cfg.ID)
	}
	defer n.ops.Done()
	f := n.raft.Apply(entry, n.cfg.ApplyTimeout)
	if err := f.Error(); err != nil { // on losing leadership at the latest
		return nil, n.explain(err)
	}
	return f.Response(), nil
}

// enter admits a request to Raft's queue, and lets Close wait for its answer: the
// library drops what is queued when it shuts down, and whoever waits would for ever.
func (n *Node) enter() bool {
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	if n.closing {
		return false
	}
	n.ops.Add(1)
	return true
}

// explain maps the library's errors; the table of what is known to have happened.
func (n *Node) explain(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return fmt.Errorf("commit: %w: %v", vstack.ErrNoLeader, err)
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		n.watchTransfer()
		return fmt.Errorf("commit: %w: %v", vstack.ErrNoLeader, err)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("commit: %w: %v", vstack.ErrUnavailable, err)
	case errors.Is(err, raft.ErrRaftShutdown):
		// Entries in flight at shutdown may be committed by the next leader.
		return fmt.Errorf("commit: %w: %v", vstack.ErrOutcomeUnknown, err)
	default: // ErrLeadershipLost, ErrAbortedByRestore, a failed log write
		return fmt.Errorf("commit: %w: %v", vstack.ErrOutcomeUnknown, err)
	}
}

// Close hands leadership over if it can, stops Raft and waits for everything.
func (n *Node) Close() error {
	n.closed.Do(func() {
		if _, ok := n.Leading(); ok && len(n.Voters()) > 1 {
			if err := n.Transfer(""); err != nil {
				n.cfg.Logger.Info("leadership was not handed over before stopping", "err", err)
			}
		}
		n.release()
	})
	return nil
}

// release stops what open started, in the order of use.
func (n *Node) release() {
	n.opsMu.Lock()
	n.closing = true
	n.opsMu.Unlock()
	n.ops.Wait() // Raft still runs, so each is answered: a leader without a majority steps down
	n.cancel()
	if n.raft != nil {
		if err := n.raft.Shutdown().Error(); err != nil {
			n.cfg.Logger.Warn("stop raft", "err", err)
		}
	}
	if n.transport != nil {
		_ = n.transport.Close()
	} else if n.streams != nil {
		_ = n.streams.Close()
	}
	n.wg.Wait()
	if n.guard != nil {
		n.guard.Close()
	}
	if n.bolt != nil {
		if err := n.bolt.Close(); err != nil {
			n.cfg.Logger.Warn("close raft log", "err", err)
		}
	}
}
