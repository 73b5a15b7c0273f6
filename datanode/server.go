package datanode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/datanode/browser"
	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/converge"
	"github.com/vstack/vstack/datanode/rebuild"
	"github.com/vstack/vstack/datanode/reconfigure"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/internal/cipherfs"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire/openapi"
	"github.com/vstack/vstack/quicclient"
)

// Server is the datanode of one host.
type Server struct {
	cfg      Config
	stores   []*store
	follower *catalog.Follower
	guard    guard
	reads    *serve.Buffers
	writes   *serve.Buffers
	cache    *serve.Cache
	decoding *rebuild.Shared
	certs    *browser.Certs // nil: no browser reads here
	repair   *converge.Budget
	driver   *reconfigure.Driver
	openAPI  []byte
	started  time.Time

	// index is what the first heartbeat's answer said of the catalog: before the view
	// has reached it, what is absent from it may only be unread. 0: no answer yet.
	index atomic.Uint64
	// answer is what the leader last said of the groups.
	answer answers
	// beats counts the heartbeats; of its goroutine alone.
	beats uint64
	// restored is when the catalog came from a backup, in Unix nanoseconds; 0: it never did.
	restored atomic.Int64

	closeOnce sync.Once
	closeErr  error
}

// Open recovers every store and binds its listeners. The caller runs and closes it.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, started: time.Now().UTC(),
		reads: serve.NewBuffers(cfg.ReadMemory), writes: serve.NewBuffers(cfg.WriteMemory),
		repair:  converge.NewBudget(cfg.RepairRate),
		openAPI: openapi.Document("V-Stack datanode", cfg.Version.Version, Routes()),
	}
	var err error
	if s.cache, err = serve.NewCache(cfg.CacheMemory); err != nil {
		return nil, fmt.Errorf("open datanode %s: %w", cfg.Host, err)
	}
	if s.decoding, err = rebuild.NewShared(cfg.DecodeMemory, cfg.DecodedMemory); err != nil {
		return nil, fmt.Errorf("open datanode %s: %w", cfg.Host, err)
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open datanode %s: %w", cfg.Host, err), s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	var err error
	if s.cfg.Stores, err = withoutCopies(s.cfg); err != nil {
		return err
	}
	var ids []vstack.StoreID
	opened := make([]*store, len(s.cfg.Stores))
	var opening errgroup.Group // at once: recovery waits for disks, and stores may have one each
	for i, sc := range s.cfg.Stores {
		opening.Go(func() (err error) {
			opened[i], err = openDisk(ctx, s, sc)
			if errors.Is(err, vstack.ErrKeyMissing) { // the others go on, as when a disk is gone
				s.cfg.Logger.Error("store is not opened: its data key cannot be had; the host goes on without it", "code", vstack.ErrKeyMissing.Code(), "dir", sc.Dir, "addr", sc.Addr, "err", err)
				return nil
			}
			return err
		})
	}
	err = opening.Wait()
	for _, st := range opened {
		if st != nil { // kept even if another failed, so that Close closes it
			s.stores = append(s.stores, st)
			ids = append(ids, st.disk.ID())
		}
	}
	if err != nil {
		return err
	}
	if len(s.stores) == 0 {
		return fmt.Errorf("no store is left: %w", vstack.ErrKeyMissing)
	}
	s.cfg.Stores = withoutLocked(s.cfg.Stores, opened)
	shares, err := sharers(s.cfg.FS, s.cfg.Stores)
	if err != nil {
		return err
	}
	for i, st := range s.stores {
		st.sharers = shares[i]
	}
	if err := s.openView(ids); err != nil {
		return err
	}
	if s.cfg.Browsers {
		if s.certs, err = browser.OpenCerts(s.cfg.FS, s.cfg.CatalogDir, nil); err != nil {
			return err
		}
	}
	var drivers []reconfigure.Store
	for _, st := range s.stores {
		if err := st.assemble(); err != nil {
			return fmt.Errorf("store %s at %s: %w", st.disk.ID(), st.cfg.Dir, err)
		}
		drivers = append(drivers, claims{st.disk, st.voter})
	}
	s.driver, err = reconfigure.New(reconfigure.Config{
		Stores: drivers, Catalog: s.follower, Ask: s.cfg.Peers.Ask, Activate: s.cfg.Meta.ActivateEpochs,
		AtOnce: s.cfg.EpochChanges, Logger: s.cfg.Logger, Registry: s.cfg.Registry,
	})
	return err
}

// withoutLocked leaves out the stores that were not opened.
func withoutLocked(stores []StoreConfig, opened []*store) (out []StoreConfig) {
	for i, sc := range stores {
		if opened[i] != nil {
			out = append(out, sc)
		}
	}
	return out
}

// Run serves until ctx ends or a part breaks: then it takes no new requests, lets
// those in flight finish, and stops the rest.
func (s *Server) Run(ctx context.Context) error {
	// What requests in flight rely on outlives the listeners.
	backCtx, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	back, backCtx := errgroup.WithContext(backCtx)
	front, frontCtx := errgroup.WithContext(ctx)

	back.Go(func() error { return s.follower.Run(backCtx) })
	back.Go(func() error { return s.beat(backCtx) })
	back.Go(func() error { return s.driver.Run(backCtx) })
	for _, st := range s.stores {
		back.Go(func() error { return st.voter.Run(backCtx) })
		back.Go(func() error { return st.loop.Run(backCtx) })
		back.Go(func() error { return st.loop.RunScrub(backCtx) })
		back.Go(func() error { return st.loop.RunCompact(backCtx) })
		front.Go(func() error { return st.endpoint.Serve(frontCtx) })
		front.Go(func() error { return st.serveBrowsers(frontCtx) })
		s.cfg.Logger.Info("store serves", "host", s.cfg.Host, "store", st.disk.ID(), "addr", st.endpoint.Addr(), "dir", st.cfg.Dir)
	}
	front.Go(func() error { // a broken background part takes the listeners with it
		select {
		case <-backCtx.Done():
			return context.Cause(backCtx)
		case <-frontCtx.Done():
			return nil
		}
	})
	err := front.Wait()
	stopBack()
	if backErr := back.Wait(); backErr != nil {
		err = backErr
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("run datanode %s: %w", s.cfg.Host, err)
	}
	return nil
}

// Close ends every listener and store. Idempotent; Run must have returned, or never
// have been called.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		var errs []error
		for _, st := range s.stores {
			errs = append(errs, st.close())
		}
		if s.follower != nil {
			errs = append(errs, s.follower.Close())
		}
		s.decoding.Close()
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// StoreInfo names one of the host's stores.
type StoreInfo struct {
	ID   vstack.StoreID
	Addr string // HOST:PORT that clients dial
	Dir  string
}

// Stores lists the host's stores in the order of the configuration.
func (s *Server) Stores() []StoreInfo {
	var out []StoreInfo
	for _, st := range s.stores {
		out = append(out, StoreInfo{ID: st.disk.ID(), Addr: st.addr(), Dir: st.cfg.Dir})
	}
	return out
}

// openView recovers what the host knows of the catalog.
func (s *Server) openView(ids []vstack.StoreID) (err error) {
	cfg := catalog.Config{
		Feed: ownFeed{s}, Dir: s.cfg.CatalogDir, Stores: ids, Known: list(s.known()), Join: s.joinGroups,
		OnStart: s.onStart, OnPage: s.onPage, Fatal: s.cfg.Fatal, Logger: s.cfg.Logger, Registry: s.cfg.Registry,
	}
	if s.cfg.CatalogKey != nil {
		cfg.FS = cipherfs.New(pebblevfs.Default, s.cfg.CatalogKey, keyfile.File)
	}
	for _, st := range s.stores {
		past := st.past.get()
		cfg.Seen = max(cfg.Seen, past.Seen)
		if !past.Cluster.IsZero() {
			cfg.Cluster = past.Cluster
		}
	}
	s.follower, err = catalog.Open(cfg)
	s.guard.view, s.guard.now = s.follower, time.Now
	return err
}

// onStart tells every store's acceptor what was known when the process started.
func (s *Server) onStart(start catalog.Start) {
	for _, st := range s.stores {
		st.voter.Begin(start)
	}
}

// onPage hands a page of the feed to every store's acceptor.
func (s *Server) onPage(page feed.Page) {
	for _, st := range s.stores {
		st.voter.Apply(page)
	}
}

// complete reports whether the view has caught up with what the catalog was when this
// process first heard of it.
func (s *Server) complete() bool {
	index := s.index.Load()
	return index > 0 && s.follower.Synced(index)
}

// holds reports whether nothing is to be dropped because the catalog came from a backup
// not long ago.
func (s *Server) holds() bool {
	at := s.restored.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < s.cfg.RestoreGrace
}

// fetch brings a chunk's bytes from a peer.
func (s *Server) fetch(ctx context.Context, slot vstack.Slot, v vstack.Value) ([]byte, error) {
	return s.fetchAs(ctx, slot, v, vstack.Scheme{})
}

// fetchBehind is fetchAs for repair: peers serve it after their clients.
func (s *Server) fetchBehind(ctx context.Context, slot vstack.Slot, v vstack.Value, scheme vstack.Scheme) ([]byte, error) {
	return s.fetchAs(quicclient.Background(ctx), slot, v, scheme)
}

// asHost has peers answer as to a host where there are, or may be, private films.
func (s *Server) asHost(ctx context.Context) context.Context {
	if !s.follower.Guarded() {
		return ctx
	}
	return quicclient.Certified(ctx)
}

// fetchAs is fetch of a chunk that peers should have as fragments of a scheme.
func (s *Server) fetchAs(ctx context.Context, slot vstack.Slot, v vstack.Value, scheme vstack.Scheme) ([]byte, error) {
	got, err := s.cfg.Peers.FetchAs(s.asHost(ctx), slot, vstack.ChunkRef{Seq: slot.Seq, ID: v.Chunk, Size: v.Size}, scheme)
	return got.Data, err
}
