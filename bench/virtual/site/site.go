package site

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// HostConfig is one host with its link.
type HostConfig struct {
	Up, Down virtual.LinkConfig
	Stores   int
	// Disk is how long a read of n bytes takes; default no time.
	Disk func(n int) time.Duration
}

// Config is what a Site needs.
type Config struct {
	// Dir takes the certificates. Required.
	Dir  string
	Seed uint64
	// Hosts keep the stores; three at least, so that a chunk has three acceptors.
	Hosts []HostConfig
	// Up and Down are the link of the host where clients run.
	Up, Down virtual.LinkConfig
}

// Site is a running data plane.
type Site struct {
	Net    *virtual.Net
	Hosts  []*virtual.Host // those with stores
	Viewer *virtual.Host   // where clients run
	Stores []*Store
	// CatalogAddr is HOST:PORT of the catalog, once there is one.
	CatalogAddr string

	up, down virtual.LinkConfig // of further viewers
	viewers  int
	identity *identity.Identity
	reader   *identity.Identity
	places   *vstack.PlacementMap
	chunks   *shelf
	catalog  *http.Server // nil without one

	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Store is one store of a Site.
type Store struct {
	ID   vstack.StoreID
	Host int
	Addr string
	// Chunks is what the store holds, and how it misbehaves.
	Chunks *Chunks

	endpoint *serve.Endpoint
}

// Open makes the network, the certificates and the stores.
func Open(cfg Config) (*Site, error) {
	s := &Site{Net: virtual.New(cfg.Seed), chunks: newShelf()}
	if err := s.open(cfg); err != nil {
		s.Close()
		return nil, fmt.Errorf("open site: %w", err)
	}
	return s, nil
}

func (s *Site) open(cfg Config) (err error) {
	if len(cfg.Hosts) < vstack.Acceptors {
		return fmt.Errorf("%w: %d hosts, want %d", vstack.ErrInvalid, len(cfg.Hosts), vstack.Acceptors)
	}
	var addrs []string
	for i := range cfg.Hosts {
		addrs = append(addrs, hostIP(i))
	}
	if err := s.certify(cfg.Dir, addrs); err != nil {
		return err
	}
	s.up, s.down = cfg.Up, cfg.Down
	if s.Viewer, err = s.AddViewer(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for i, h := range cfg.Hosts {
		host, err := s.Net.Host(hostIP(i), h.Up, h.Down)
		if err != nil {
			return err
		}
		s.Hosts = append(s.Hosts, host)
		for n := range h.Stores {
			if err := s.addStore(ctx, host, i, n, h.Disk); err != nil {
				return err
			}
		}
	}
	s.place()
	return nil
}

// AddViewer adds a host where clients run, with a link of its own like the first one's.
func (s *Site) AddViewer() (*virtual.Host, error) {
	s.viewers++
	return s.Net.Host("10.1.0."+strconv.Itoa(s.viewers), s.up, s.down)
}

func hostIP(i int) string { return "10.0.0." + strconv.Itoa(i+1) }

func (s *Site) certify(dir string, addrs []string) error {
	ca, err := identity.CreateCA(filepath.Join(dir, "ca"))
	if err != nil {
		return err
	}
	own := filepath.Join(dir, "host")
	if err := ca.Issue(own, identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: addrs}); err != nil {
		return err
	}
	if s.identity, err = identity.Load(own); err != nil {
		return err
	}
	s.reader, err = identity.LoadRoots(filepath.Join(dir, "ca", "ca.crt"))
	return err
}

func (s *Site) addStore(ctx context.Context, host *virtual.Host, at, n int, disk func(int) time.Duration) error {
	st := &Store{Host: at, Addr: net.JoinHostPort(hostIP(at), strconv.Itoa(8081+n)), Chunks: newChunks(s.chunks, disk)}
	st.ID[0], st.ID[14], st.ID[15] = 0xa0, byte(at), byte(n+1)
	gate := serve.NewGate(1024)
	reader, err := serve.NewReader(serve.ReaderConfig{
		ID: st.ID, Store: st.Chunks, Buffers: serve.NewBuffers(64 << 20), Gate: gate, Latency: serve.NewLatency(),
	})
	if err != nil {
		return err
	}
	const path = "/v1/chunks/{sha256}"
	router := serve.NewRouter([]wire.Route{{Method: "GET", Path: path}}, map[string]http.Handler{"GET " + path: reader}, nil)
	st.endpoint, err = serve.Listen(serve.Config{
		Addr: st.Addr, Network: host, TLS: s.identity.ServerTLS(), ResetKey: s.identity.ResetKey(),
		Handler: router, Gate: gate, Logger: slog.New(slog.DiscardHandler), Grace: time.Second,
	})
	if err != nil {
		return err
	}
	s.Stores = append(s.Stores, st)
	s.done.Go(func() { _ = st.endpoint.Serve(ctx) }) // it ends by ctx or by a test that closes it
	return nil
}

// place gives every group one acceptor on each of three hosts, by turns, and two more
// targets.
func (s *Site) place() {
	m := &vstack.PlacementMap{Version: 1}
	byHost := make([][]vstack.StoreID, len(s.Hosts))
	for _, st := range s.Stores {
		byHost[st.Host] = append(byHost[st.Host], st.ID)
		m.Stores = append(m.Stores, vstack.Store{
			ID: st.ID, Host: vstack.HostID("h" + strconv.Itoa(st.Host+1)), Addr: st.Addr, State: vstack.StoreUp, Capacity: 1 << 40,
		})
	}
	for g := range vstack.PlacementGroups {
		var targets, rest []vstack.StoreID
		for k := range byHost {
			h := (g + k) % len(byHost)
			turn := (g / len(byHost)) + k
			for i := range byHost[h] {
				id := byHost[h][(turn+i)%len(byHost[h])]
				if i == 0 {
					targets = append(targets, id)
				} else {
					rest = append(rest, id)
				}
			}
		}
		targets = append(targets, rest...)
		m.Groups = append(m.Groups, vstack.PGTargets{Epoch: 1, Targets: targets[:min(vstack.Targets, len(targets))]})
	}
	s.places = m
}

// Placement is the source of the map that clients ask.
func (s *Site) Placement(context.Context) (*vstack.PlacementMap, error) { return s.places, nil }

// Put has a slot's acceptors hold a chunk and returns its name.
func (s *Site) Put(slot vstack.Slot, data []byte) vstack.ChunkID {
	return s.PutAt(data, s.Holders(slot)...)
}

// PutAt has some stores hold a chunk.
func (s *Site) PutAt(data []byte, at ...*Store) vstack.ChunkID {
	id := s.chunks.add(data)
	for _, st := range at {
		st.Chunks.hold(id)
	}
	return id
}

// PutFilm has the acceptors of every slot hold its chunk, with its leaf table beside it.
func (s *Site) PutFilm(m *vstack.Manifest, film *Film) {
	for slot, ref := range m.Slots {
		s.chunks.keep(ref.ID, film.Data[ref.ID], film.Tables[ref.ID])
		for _, st := range s.Holders(slot) {
			st.Chunks.hold(ref.ID)
		}
	}
}

// Holders are the stores that hold a slot's chunk.
func (s *Site) Holders(slot vstack.Slot) []*Store {
	group, _ := s.places.Group(slot)
	var out []*Store
	for _, a := range group.Acceptors() {
		out = append(out, s.Store(a))
	}
	return out
}

// Store finds a store.
func (s *Site) Store(id vstack.StoreID) *Store {
	for _, st := range s.Stores {
		if st.ID == id {
			return st
		}
	}
	return nil
}

// TLS is what a reader dials with.
func (s *Site) TLS() *tls.Config { return s.reader.ClientTLS() }

// Client makes a client of the viewer's host, without a certificate. The caller closes
// it before the site.
func (s *Site) Client(change func(*quicclient.Config)) (*quicclient.Client, error) {
	cfg := quicclient.Config{TLS: s.reader.ClientTLS(), Network: s.Viewer, Placement: s.Placement}
	if change != nil {
		change(&cfg)
	}
	return quicclient.New(cfg)
}

// Close ends the stores and the network. Idempotent.
func (s *Site) Close() {
	if s.cancel != nil {
		s.cancel()
	}
	var errs []error
	for _, st := range s.Stores {
		errs = append(errs, st.endpoint.Close())
	}
	if s.catalog != nil {
		errs = append(errs, s.catalog.Close())
	}
	s.Net.Close()
	s.done.Wait()
	_ = errors.Join(errs...) // sockets of a network that is gone
}
