package raftnode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/refusals"
)

const (
	handshakeTimeout = 3 * time.Second
	maxHandshakes    = 64
	maxStreams       = 256 // accepted connections at a time
)

// streams is a raft.StreamLayer over mutual TLS. It owns the accept loop, the
// handshakes and every accepted connection.
type streams struct {
	listener  net.Listener
	advertise raft.ServerAddress
	serverTLS func(protos ...string) *tls.Config
	client    *tls.Config
	peer      func(*tls.ConnectionState) (string, error)
	roster    roster
	hello     func(genesis string) hello
	refused   *refusals.Log
	log       *slog.Logger
	network   network.Network
	of        atomic.Pointer[membership]

	ready  chan greeted
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	open      map[*stream]struct{}
	greetings map[netip.Addr]int // handshakes under way of each address
}

// greeted is a connection of a member.
type greeted struct {
	net.Conn
	name string // in its certificate
}

// membership is which protocols are spoken: before this member is of a cluster, hello
// alone.
type membership struct {
	genesis string
	server  *tls.Config
}

func (m *membership) proto() string { return raftProto + m.genesis }

// listen starts to say hello; a genesis lets members in as well, to speak Raft.
func listen(cfg Config, genesis string, members roster, say func(genesis string) hello) (*streams, error) {
	l, err := cfg.Network.Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for raft: %w", err)
	}
	self := cfg.self()
	s := &streams{
		listener: l, advertise: serverAddress(self.Addr, self.API), serverTLS: cfg.ServerTLS, client: cfg.ClientTLS.Clone(),
		peer: cfg.Peer, roster: members, hello: say, refused: refusals.New(cfg.Logger), log: cfg.Logger, network: cfg.Network,
		ready: make(chan greeted), open: map[*stream]struct{}{}, greetings: map[netip.Addr]int{},
	}
	s.setGenesis(genesis)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Add(1)
	go s.acceptLoop()
	return s, nil
}

func (s *streams) genesis() string { return s.of.Load().genesis }

func (s *streams) setGenesis(genesis string) {
	m := &membership{genesis: genesis}
	if genesis == "" {
		m.server = s.serverTLS(helloProto)
	} else {
		m.server = s.serverTLS(m.proto(), helloProto)
	}
	s.of.Store(m)
}

func (s *streams) acceptLoop() {
	defer s.wg.Done()
	slots := make(chan struct{}, maxHandshakes)
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			s.log.Warn("raft accept", "err", err)
			select { // out of descriptors, say: let some close
			case <-time.After(50 * time.Millisecond):
			case <-s.ctx.Done():
				return
			}
			continue
		}
		from := addrOf(conn)
		if !s.begin(from) {
			_ = conn.Close() // a flood from there: hosts dial again
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			s.end(from)
			_ = conn.Close() // a flood
			continue
		}
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			defer func() { s.end(from); <-slots }()
			if err := s.greet(conn); err != nil {
				s.refused.Warn("raft connection refused", "from", conn.RemoteAddr(), "err", err)
				_ = conn.Close()
			}
		}()
	}
}

func addrOf(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{} // of a network without addresses
	}
	return a.Addr().Unmap()
}

// begin counts a handshake; one address has at most an eighth of them, so that one that says
// nothing does not keep members away.
func (s *streams) begin(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greetings[from] >= maxHandshakes/8 {
		return false
	}
	s.greetings[from]++
	return true
}

func (s *streams) end(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greetings[from]--; s.greetings[from] == 0 {
		delete(s.greetings, from)
	}
}

// greet completes the handshake, and says hello or hands the connection to Accept.
func (s *streams) greet(raw net.Conn) error {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	of := s.of.Load()
	conn := tls.Server(raw, of.server)
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol == helloProto {
		if _, err := s.peer(&state); err != nil {
			return err
		}
		return s.sayHello(conn)
	}
	name, err := s.check(&state, of)
	if err != nil {
		return err
	}
	if !s.roster.knows(name) {
		return fmt.Errorf("%w: %q is no member", vstack.ErrForbidden, name)
	}
	tracked := &stream{Conn: conn, owner: s}
	s.mu.Lock()
	if len(s.open) >= maxStreams || s.ctx.Err() != nil {
		s.mu.Unlock()
		return fmt.Errorf("accept: %w: %d streams are open", vstack.ErrUnavailable, maxStreams)
	}
	s.open[tracked] = struct{}{}
	s.mu.Unlock()
	select {
	case s.ready <- greeted{tracked, name}:
		return nil
	case <-s.ctx.Done():
		_ = tracked.Close()
		return s.ctx.Err()
	}
}

// check wants the cluster's protocol, and names who is behind the certificate. A client
// that offers no protocol at all completes the handshake, so it is asked for here.
func (s *streams) check(state *tls.ConnectionState, of *membership) (string, error) {
	if of.genesis == "" || state.NegotiatedProtocol != of.proto() {
		return "", fmt.Errorf("%w: protocol %q, want that of cluster %q", vstack.ErrForbidden, state.NegotiatedProtocol, of.genesis)
	}
	return s.peer(state)
}

// Accept implements net.Listener for the transport that sends, to which nobody connects:
// senders has what comes.
func (s *streams) Accept() (net.Conn, error) {
	<-s.ctx.Done()
	return nil, net.ErrClosed
}

// Dial implements raft.StreamLayer.
func (s *streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	of := s.of.Load()
	if of.genesis == "" {
		return nil, fmt.Errorf("dial raft member at %s: %w: this one is of no cluster yet", addr, vstack.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(s.ctx, min(timeout, handshakeTimeout))
	defer cancel()
	cfg := s.client.Clone()
	cfg.NextProtos = []string{of.proto()}
	to, _, _ := strings.Cut(string(addr), "|")
	conn, err := s.dialTLS(ctx, to, cfg)
	if err != nil {
		return nil, fmt.Errorf("dial raft member at %s: %w", to, err)
	}
	state := conn.ConnectionState()
	name, err := s.check(&state, of)
	if want, known := s.roster.at(addr); err == nil && known && name != want {
		err = fmt.Errorf("%w: want %q, %q answers there", vstack.ErrForbidden, want, name)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial raft member at %s: %w", to, err)
	}
	return conn, nil
}

// dialTLS connects and shakes hands; whoever listens there proves itself for its address.
func (s *streams) dialTLS(ctx context.Context, addr string, cfg *tls.Config) (*tls.Conn, error) {
	raw, err := s.network.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		cfg.ServerName = host
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// Addr is what the configuration has of this member, which is how Raft compares them.
func (s *streams) Addr() net.Addr { return advertised(s.advertise) }

type advertised raft.ServerAddress

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }

// Close stops accepting, closes every accepted connection and waits.
func (s *streams) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.mu.Lock()
	conns := make([]*stream, 0, len(s.open))
	for c := range s.open {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	s.wg.Wait()
	return err
}

// stream is an accepted connection that its owner can close.
type stream struct {
	net.Conn
	owner *streams
}

// JudgePeers ends the connections of those who may not speak Raft any more.
func (n *Node) JudgePeers() {
	n.streams.mu.Lock()
	open := slices.Collect(maps.Keys(n.streams.open))
	n.streams.mu.Unlock()
	for _, c := range open {
		state := c.Conn.(*tls.Conn).ConnectionState() // greet made it
		if _, err := n.cfg.Peer(&state); err != nil {
			n.streams.refused.Warn("raft connection ended", "from", c.RemoteAddr(), "err", err)
			_ = c.Close()
		}
	}
}

func (c *stream) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}
