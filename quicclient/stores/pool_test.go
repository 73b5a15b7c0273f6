package stores

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// metastore answers with its map, or its error.
type metastore struct {
	mu    sync.Mutex
	m     *vstack.PlacementMap
	err   error
	asked int
	takes time.Duration
}

func (s *metastore) get(ctx context.Context) (*vstack.PlacementMap, error) {
	s.mu.Lock()
	s.asked++
	m, err, takes := s.m, s.err, s.takes
	s.mu.Unlock()
	select {
	case <-time.After(takes):
		return m, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *metastore) set(m *vstack.PlacementMap, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m, s.err = m, err
}

func mapOf(version uint64, stores ...vstack.Store) *vstack.PlacementMap {
	return &vstack.PlacementMap{Version: version, Groups: make([]vstack.PGTargets, vstack.PlacementGroups), Stores: stores}
}

func newPool(t *testing.T, s *metastore) *Pool {
	t.Helper()
	p := NewPool(Config{
		Network: network.OS{}, Sessions: NewSessions(), Changed: func() {},
		TLS: &tls.Config{}, Placement: s.get, PlacementMaxAge: 10 * time.Second,
		HandshakeTimeout: time.Second, IdleTimeout: 5 * time.Second, FallbackAfter: 100 * time.Millisecond, TCPConns: 2,
		Logger: slog.New(slog.DiscardHandler), Dials: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dials"}, []string{"result"}),
	})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestMapIsAskedForOnceByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &metastore{m: mapOf(1), takes: time.Second}
		p := newPool(t, s)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if m, err := p.Placement(t.Context()); err != nil || m.Version != 1 {
					t.Errorf("%v, %v", m, err)
				}
			})
		}
		wg.Wait()
		if s.asked != 1 {
			t.Errorf("asked %d times", s.asked)
		}
	})
}

func TestOldMapIsUsedWhileANewerOneIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &metastore{m: mapOf(1)}
		p := newPool(t, s)
		if _, err := p.Placement(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second) // virtual
		s.set(mapOf(2), nil)
		began := time.Now()
		if m, err := p.Placement(t.Context()); err != nil || m.Version != 1 || time.Since(began) != 0 {
			t.Errorf("version %d after %v, %v; want the old one at once", m.Version, time.Since(began), err)
		}
		synctest.Wait()
		if m, err := p.Placement(t.Context()); err != nil || m.Version != 2 {
			t.Errorf("version %d, %v", m.Version, err)
		}
	})
}

func TestMapOutlivesTheMetastore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &metastore{err: vstack.ErrNoLeader}
		p := newPool(t, s)
		if _, err := p.Placement(t.Context()); !errors.Is(err, vstack.ErrNoLeader) {
			t.Errorf("without any map: %v", err)
		}
		s.set(&vstack.PlacementMap{}, nil)
		if _, err := p.Placement(t.Context()); !errors.Is(err, vstack.ErrNotReady) {
			t.Errorf("with an empty map: %v", err)
		}
		s.set(mapOf(5), nil)
		if _, err := p.Placement(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.set(nil, vstack.ErrNoLeader)
		for range 5 {
			time.Sleep(time.Minute)
			if m, err := p.Placement(t.Context()); err != nil || m.Version != 5 {
				t.Errorf("%v", err)
			}
			synctest.Wait()
		}
		s.set(mapOf(4), nil) // a follower that lags behind
		if m, err := p.Newer(t.Context(), 5); err != nil || m.Version != 5 {
			t.Errorf("version %d, %v; want the newest ever seen", m.Version, err)
		}
		s.set(mapOf(6), nil)
		if m, err := p.Newer(t.Context(), 5); err != nil || m.Version != 6 {
			t.Errorf("version %d, %v", m.Version, err)
		}
		asked := s.asked
		if m, err := p.Newer(t.Context(), 5); err != nil || m.Version != 6 || s.asked != asked {
			t.Errorf("version %d after %d more questions, %v", m.Version, s.asked-asked, err)
		}
	})
}

func TestCloseEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &metastore{takes: time.Hour}
		p := newPool(t, s)
		ended := make(chan error)
		go func() { _, err := p.Placement(t.Context()); ended <- err }()
		synctest.Wait()
		go func() { _ = p.Close() }()
		if err := <-ended; err == nil {
			t.Error("got a map")
		}
		synctest.Wait()
		if p.Spawn(func(context.Context) { t.Error("ran after Close") }) {
			t.Error("spawned after Close")
		}
		if _, err := p.Newer(t.Context(), 0); !errors.Is(err, vstack.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestStoreThatMovedIsANewPeer(t *testing.T) {
	p := newPool(t, &metastore{})
	id := vstack.StoreID{1}
	at := func(addr string) Target {
		return p.Targets(mapOf(1, vstack.Store{ID: id, Addr: addr}), []vstack.StoreID{id, {2}})[0]
	}
	a := at("127.0.0.1:1")
	a.Peer.Heard(7)
	a.Peer.Heard(3)
	a.Peer.Failed()
	if at("127.0.0.1:1").Peer != a.Peer {
		t.Error("the same store is another peer")
	}
	b := at("127.0.0.1:2")
	if b.Peer == a.Peer || b.Peer.Echo() != 7 {
		t.Errorf("peer %p, echo %d; want a new peer that knows the echo", b.Peer, b.Peer.Echo())
	}
	if s := b.Peer.Signals(p.Now(), b.Store); s.Errors != 0 || s.Link != policy.LinkIdle || s.Measured {
		t.Errorf("the old address's failures are believed of the new: %+v", s)
	}
	p.forget(mapOf(2))
	if len(p.peers) != 0 {
		t.Error("a store that left the map is kept")
	}
}

func TestBadAddressIsAnErrorNotAHang(t *testing.T) {
	p := newPool(t, &metastore{})
	for _, addr := range []string{"nowhere", "127.0.0.1:port", ""} {
		peer := newPeer(p, vstack.Store{ID: vstack.StoreID{1}, Addr: addr})
		if _, err := peer.lanes[0].conn(t.Context(), 10*time.Second); err == nil || errors.Is(err, vstack.ErrTimeout) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
