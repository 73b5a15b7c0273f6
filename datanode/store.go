package datanode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/datanode/browser"
	"github.com/vstack/vstack/datanode/converge"
	"github.com/vstack/vstack/datanode/gauges"
	"github.com/vstack/vstack/datanode/rebuild"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/datanode/superblock/finding"
	"github.com/vstack/vstack/datanode/tap"
	"github.com/vstack/vstack/datanode/vote"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// store is one store with all its parts, which never change once it is assembled.
type store struct {
	server    *Server
	cfg       StoreConfig
	disk      *superblock.Store
	gate      *serve.Gate
	latency   *serve.Latency
	reader    *serve.Reader
	rebuilder *rebuild.Rebuilder
	voter     *vote.Voter
	tap       *tap.Tap
	loop      *converge.Loop
	endpoint  *serve.Endpoint
	past      *lineage
	sharers   int64 // stores of this process that take from the same free space

	// told are the places of lost records that the acceptor knows of, until the disk has that
	// in its log; of the heartbeat's goroutine alone, as lostTold is.
	told     []finding.Place
	lostTold bool

	door atomic.Pointer[browser.Door] // nil while no browser can read here
}

// openDisk recovers a store's superblocks.
func openDisk(ctx context.Context, s *Server, cfg StoreConfig) (*store, error) {
	disk, err := superblock.Open(ctx, superblock.Config{
		Dir: cfg.Dir, FS: s.cfg.FS, SuperblockSize: s.cfg.SuperblockSize, Capacity: cfg.Capacity, Reserve: s.cfg.Reserve, Overhead: s.cfg.Overhead,
		Keys: s.cfg.Keys, Encrypt: s.cfg.Encrypt, Logger: s.cfg.Logger, Registry: s.cfg.Registry, Fatal: s.cfg.Fatal,
	})
	if err != nil {
		return nil, err
	}
	past, err := openLineage(s.cfg.FS, cfg.Dir, disk.Stats().Chunks+disk.Stats().Fragments > 0)
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	if err := past.begin(s.started); err != nil {
		s.cfg.Logger.Warn("the store's start is not noted: until it is, a report of the process before may be taken for a later one", "store", disk.ID(), "err", err)
	}
	return &store{
		server: s, cfg: cfg, disk: disk, past: past,
		gate: serve.NewGate(s.cfg.MaxRequests), latency: serve.NewLatency(), tap: tap.New(disk.ID()),
	}, nil
}

// assemble makes the parts over the recovered disk and binds the listeners.
func (st *store) assemble() (err error) {
	s := st.server
	st.voter, err = vote.New(vote.Config{
		Log: st.disk, Fetch: s.fetch, Buffers: s.writes, Fatal: s.cfg.Fatal, Logger: s.cfg.Logger, Registry: s.cfg.Registry,
		CatchUp: s.cfg.CatchUp, InstallWait: s.cfg.InstallWait, Drives: s.drives, Tap: st.tap,
	})
	if err != nil {
		return err
	}
	st.rebuilder, err = rebuild.New(rebuild.Config{
		Disk: st.disk, Locate: st.server.locate, Ask: st.server.askFragment, Shared: s.decoding, Rotten: st.rotten,
		Logger: s.cfg.Logger, Registry: s.cfg.Registry,
	})
	if err != nil {
		return err
	}
	st.loop, err = converge.New(converge.Config{
		Disk: scrubbed{st.disk, st.rebuilder}, Catalog: converge.Followed{Follower: s.follower}, Votes: st.voter, Groups: st, Answer: s.answer.fresh,
		Fetch: s.fetchBehind, Complete: st.complete,
		ReadP99: func() time.Duration { return st.latency.Quantile(time.Now(), 0.99) },
		Rate:    s.repair, Logger: s.cfg.Logger, Registry: s.cfg.Registry,
		Settle: s.cfg.Settle, Interval: s.cfg.ConvergeEvery, Grace: s.cfg.DropGrace, Hold: s.holds,
		ScrubEvery: s.cfg.ScrubEvery, ScrubRate: s.cfg.ScrubRate, LastScrub: st.lastScrub(), KeepScrub: st.keepScrub,
	})
	if err != nil {
		return err
	}
	st.reader, err = serve.NewReader(serve.ReaderConfig{
		ID: st.disk.ID(), Store: chunks{st.disk}, Buffers: s.reads, Cache: s.cache, Gate: st.gate, Latency: st.latency,
		CorruptPiece: st.loop.CorruptPiece, Rebuild: st.rebuilder.Chunk, Encode: s.decoding.Encode, Registry: s.cfg.Registry,
	})
	if err != nil {
		return err
	}
	st.endpoint, err = serve.Listen(serve.Config{
		Addr: st.cfg.Addr, Network: s.cfg.Network, TLS: s.cfg.Identity.ServerTLS(), ResetKey: s.cfg.Identity.ResetKey(),

		Handler: watch.Carry(s.cfg.Tracer.Handler(s.cfg.Logger, s.cfg.Identity.Guard(serve.NewRouter(Routes(), st.handlers(), st.voter.Refuse), wire.Refuse))), Gate: st.gate, Logger: s.cfg.Logger, Grace: s.cfg.Grace,
	})
	if err != nil {
		return err
	}
	s.cfg.Identity.OnRevoke(func() { st.endpoint.Drop(s.cfg.Identity.Revoked) })
	if s.cfg.Registry == nil {
		return nil
	}
	return s.cfg.Registry.Register(st.gauges())
}

// gauges are the figures of the store's disk.
func (st *store) gauges() *gauges.Store {
	return gauges.New(gauges.Config{
		ID: st.disk.ID(), Stats: st.disk.Stats, Scrub: st.loop.ScrubStatus, Every: st.loop.ScrubEvery(), Started: st.server.started,
		Report: func() (capacity, free int64, votes bool) {
			stats := st.disk.Stats()
			votes, _ = st.voter.Votes()
			return st.capacity(stats), st.free(stats), votes
		},
	})
}

func (st *store) close() error {
	var err error
	if st.endpoint != nil {
		err = st.endpoint.Close()
	}
	return errors.Join(err, st.disk.Close())
}

// complete reports whether what the view does not name is named by nobody, and whether
// the log may grow by records that no message asked for: what the store has lost is
// noted in it by then.
func (st *store) complete() bool {
	return st.server.complete() && st.past.why() == "" && st.voter.Settled()
}

// addr is what clients dial: the configured address, with the port that was taken
// where the configuration left it open. The listener's own may be a wildcard.
func (st *store) addr() string {
	host, port, err := net.SplitHostPort(st.cfg.Addr)
	if err != nil || port != "0" {
		return st.cfg.Addr
	}
	_, port, _ = net.SplitHostPort(st.endpoint.Addr())
	return net.JoinHostPort(host, port)
}

// report is the store's part of a heartbeat.
func (st *store) report() wire.StoreReport {
	stats := st.disk.Stats()
	missing, corrupt := st.loop.Lacking()
	surveyed, lacking := st.loop.Behind()
	reads, bytes := st.reader.Served()
	past := st.past.get()
	_, mute := st.voter.Votes()
	return wire.StoreReport{
		ID: st.disk.ID(), Addr: st.addr(), Capacity: st.capacity(stats), Used: stats.Used, Stored: stats.Live,
		Chunks: int64(stats.Chunks), Missing: missing, Corrupt: corrupt,
		LSN: st.voter.LSN(), Applied: st.server.follower.Index(),
		Cluster: past.Cluster, Seen: past.Seen,
		ReadP99: st.latency.Quantile(time.Now(), 0.99).Seconds(), Reads: reads, ReadSize: bytes,
		Writes: st.voter.Accepted(), Started: st.past.began(), Full: stats.Free < vstack.MaxChunkSize, Free: st.free(stats), Mute: mute,
		Amnesic: st.voter.Barred(time.Now()), Claims: st.loop.Claims(), Surveyed: surveyed, Lacking: lacking,
		Browser: st.browserDoor(),
	}
}

// claims is the store's log as drivers of epoch changes write it: a claim must not raise
// the LSN above what the store has lost either.
type claims struct {
	*superblock.Store
	voter *vote.Voter
}

func (c claims) Append(ctx context.Context, recs ...superblock.Record) (vstack.LSN, error) {
	if err := c.voter.Settle(ctx); err != nil {
		return 0, fmt.Errorf("claim in store %s: %w", c.ID(), err)
	}
	return c.Store.Append(ctx, recs...)
}

// chunks is the store as serve reads it.
type chunks struct{ *superblock.Store }

// Size is false for a chunk that is known damaged.
func (c chunks) Size(id vstack.ChunkID) (uint32, bool) {
	info, ok := c.Lookup(id)
	return info.Size, ok
}

// Fragments are those that are not known damaged.
func (c chunks) Fragments(id vstack.ChunkID) (held []vstack.Piece, size uint32) {
	for _, info := range c.Pieces(id) {
		if !info.Bad && !info.Piece.IsChunk() {
			held, size = append(held, info.Piece), info.Size
		}
	}
	return held, size
}

// Damaged reports whether a fragment is here and known damaged.
func (c chunks) Damaged(id vstack.ChunkID, p vstack.Piece) bool {
	info, _ := c.LookupPiece(id, p)
	return info.Bad
}

// method is the router's key of a route.
func method(m, path string) string { return m + " " + path }
