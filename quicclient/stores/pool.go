package stores

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

// Config configures a Pool. Everything is required; quicclient.Config documents the
// fields and has the defaults.
type Config struct {
	TLS             *tls.Config // with the certificate that writes show; reads show none
	Network         network.Network
	Placement       func(context.Context) (*vstack.PlacementMap, error)
	PlacementMaxAge time.Duration

	HandshakeTimeout time.Duration
	IdleTimeout      time.Duration
	FallbackAfter    time.Duration
	TCPConns         int  // bound of TCP connections a store
	NoQUIC           bool // reads go over TCP
	Sessions         *Sessions
	Changed          func() // is told that a dial ended; must not block

	Logger *slog.Logger
	Dials  *prometheus.CounterVec // QUIC handshakes by result, "ok" or "failed"
}

// Pool is the connections of one client. It is safe for concurrent use.
type Pool struct {
	cfg    Config
	start  time.Time
	tcp    *http.Transport  // writes
	reads  *http.Transport  // without a certificate
	h3     *http3.Transport // makes client connections; dials nothing itself
	places places

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of the client

	mu     sync.Mutex
	closed bool
	peers  map[vstack.StoreID]*Peer
	udp    *quic.Transport
}

// NewPool makes a pool. It dials nothing until something is needed.
func NewPool(cfg Config) *Pool {
	c := &Pool{cfg: cfg, start: time.Now(), peers: make(map[vstack.StoreID]*Peer)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.h3 = &http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: 64 << 10, Logger: cfg.Logger}
	c.tcp = newTCP(cfg, cfg.TLS.Clone())
	bare := cfg.TLS.Clone()
	bare.Certificates, bare.GetClientCertificate = nil, nil
	c.reads = newTCP(cfg, bare)
	c.places.c = c
	return c
}

// newTCP makes the pool of HTTP/1.1 connections: for bodies of megabytes several of
// them beat one HTTP/2 connection, whose frames are copied once more.
func newTCP(cfg Config, conf *tls.Config) *http.Transport {
	conf.NextProtos = []string{"http/1.1"}
	return &http.Transport{
		DialTLSContext:         network.DialBulkTLS(cfg.Network, conf, cfg.HandshakeTimeout),
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2
		DisableCompression:     true,
		MaxConnsPerHost:        cfg.TCPConns,
		MaxIdleConnsPerHost:    cfg.TCPConns,
		IdleConnTimeout:        30 * time.Second,
		WriteBufferSize:        32 << 10, // the header and the beginning of a body
		ReadBufferSize:         64 << 10,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// Close ends every connection, cancels Context and waits for what Spawn started.
func (c *Pool) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.wg.Wait()
		return nil
	}
	c.closed = true
	peers := make([]*Peer, 0, len(c.peers))
	for _, p := range c.peers {
		peers = append(peers, p)
	}
	udp := c.udp
	c.mu.Unlock()

	c.cancel()
	for _, p := range peers {
		p.close()
	}
	c.wg.Wait()
	c.tcp.CloseIdleConnections()
	c.reads.CloseIdleConnections()
	if udp == nil {
		return nil
	}
	err := udp.Close()
	if cerr := udp.Conn.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("close UDP socket: %w", err)
	}
	return nil
}

// Spawn runs f in a goroutine that Close waits for; false if the pool is closed.
func (c *Pool) Spawn(f func(context.Context)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		f(c.ctx)
	}()
	return true
}

// Context ends when Close is called.
func (c *Pool) Context() context.Context { return c.ctx }

// Now is the pool's clock.
func (c *Pool) Now() time.Duration { return time.Since(c.start) }

// udpTransport opens the pool's one UDP socket when the first dial needs it.
func (c *Pool) udpTransport() (*quic.Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, vstack.ErrClosed
	}
	if c.udp == nil {
		conn, err := c.cfg.Network.ListenPacket(c.ctx, "udp", ":0")
		if err != nil {
			return nil, fmt.Errorf("open UDP socket: %w", err)
		}
		c.udp = &quic.Transport{Conn: conn}
	}
	return c.udp, nil
}

// peer returns the peer of a store as the map describes it. A store that moved gets a
// new one, so that nothing learned of the old address is believed of the new.
func (c *Pool) peer(s vstack.Store) *Peer {
	c.mu.Lock()
	old := c.peers[s.ID]
	if old != nil && old.Addr == s.Addr {
		c.mu.Unlock()
		return old
	}
	p := newPeer(c, s)
	c.peers[s.ID] = p
	c.mu.Unlock()
	if old != nil {
		p.Heard(old.Echo())
		old.close()
	}
	return p
}

// Peer is a store that the caller knows of, by the placement map or ahead of it.
func (c *Pool) Peer(s vstack.Store) *Peer { return c.peer(s) }

// forget drops the peers of stores that are no longer in the map.
func (c *Pool) forget(m *vstack.PlacementMap) {
	known := make(map[vstack.StoreID]bool, len(m.Stores))
	for _, s := range m.Stores {
		known[s.ID] = true
	}
	var gone []*Peer
	c.mu.Lock()
	for id, p := range c.peers {
		if !known[id] {
			gone = append(gone, p)
			delete(c.peers, id)
		}
	}
	c.mu.Unlock()
	for _, p := range gone {
		p.close()
	}
}

// Rest closes what stores without a request for a while do not need.
func (c *Pool) Rest(after time.Duration) {
	c.mu.Lock()
	peers := make([]*Peer, 0, len(c.peers))
	for _, p := range c.peers {
		peers = append(peers, p)
	}
	c.mu.Unlock()
	for _, p := range peers {
		if p.Idle(c.Now(), after) {
			p.Rest()
		}
	}
}

// Target is a store of a placement group with its peer.
type Target struct {
	Store vstack.Store
	Peer  *Peer
}

// Targets resolves ids; stores that the map does not know are left out.
func (c *Pool) Targets(m *vstack.PlacementMap, ids []vstack.StoreID) []Target {
	out := make([]Target, 0, len(ids))
	for _, id := range ids {
		if s, ok := m.Store(id); ok {
			out = append(out, Target{s, c.peer(s)})
		}
	}
	return out
}

// Signals returns the live signals of every store in the placement map, ordered by id;
// nothing before the map was needed for the first time.
func (c *Pool) Signals() []policy.Signals {
	m := c.places.cached()
	if m == nil {
		return nil
	}
	now := c.Now()
	out := make([]policy.Signals, 0, len(m.Stores))
	for _, s := range m.Stores {
		out = append(out, c.peer(s).Signals(now, s))
	}
	slices.SortFunc(out, func(a, b policy.Signals) int { return slices.Compare(a.Store[:], b.Store[:]) })
	return out
}
