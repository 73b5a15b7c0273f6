package transport

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
	"github.com/vstack/vstack/metastore/raftnode/transport/refusals"
)

const (
	handshakeTimeout = 3 * time.Second
	// MaxHandshakes are under way at a time.
	MaxHandshakes = 64
	maxStreams    = 256 // accepted connections at a time
)

// Config configures Streams, and the Transport upon them. All but Network's default is required.
type Config struct {
	// Network opens the sockets.
	Network network.Network
	// Listen is where other members connect, Advertise what the configuration of Raft has of
	// this one.
	Listen    string
	Advertise raft.ServerAddress
	// ServerTLS makes the listener's configuration for ALPN protocols, and requires client
	// certificates; ClientTLS dials other members.
	ServerTLS func(protos ...string) *tls.Config
	ClientTLS *tls.Config
	// Peer names the verified other end of a connection, or refuses it.
	Peer func(*tls.ConnectionState) (id string, err error)
	// Roster is who may send.
	Roster Roster
	// Hello is what is said to whoever connects by HelloProto; genesis is "" before this member
	// is of a cluster.
	Hello func(genesis string) ([]byte, error)
	// MaxPeers bounds a cluster.
	MaxPeers int
	// Patience bounds one hello, HelloTimeout or more.
	Patience time.Duration
	// Timeout bounds one exchange, Stall how long a follower may take for an answer.
	Timeout, Stall time.Duration
	Logger         *slog.Logger
}

// Roster is who may send.
type Roster interface {
	// Knows reports whether a member has the name.
	Knows(name string) bool
	// KnowsAs reports whether a member of that name, this very instance of it, has the id.
	KnowsAs(name string, id raft.ServerID) bool
	// Member is Knows without asking anybody.
	Member(name string) bool
	// At is whom the configuration has at an address.
	At(raft.ServerAddress) (name string, ok bool)
}

// Streams is a raft.StreamLayer over mutual TLS. It owns the accept loop, the
// handshakes and every accepted connection.
type Streams struct {
	cfg      Config
	listener net.Listener
	refused  *refusals.Log
	of       atomic.Pointer[membership]

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

func (m *membership) proto() string { return RaftProto + m.genesis }

// Listen starts to say hello; a genesis lets members in as well, to speak Raft.
func Listen(cfg Config, genesis string) (*Streams, error) {
	l, err := cfg.Network.Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for raft: %w", err)
	}
	cfg.ClientTLS = cfg.ClientTLS.Clone()
	s := &Streams{
		cfg: cfg, listener: l, refused: refusals.New(cfg.Logger),
		ready: make(chan greeted), open: map[*stream]struct{}{}, greetings: map[netip.Addr]int{},
	}
	s.SetGenesis(genesis)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Add(1)
	go s.acceptLoop()
	return s, nil
}

// Genesis names the cluster; "" before this member is of one.
func (s *Streams) Genesis() string { return s.of.Load().genesis }

// SetGenesis lets members of that cluster in.
func (s *Streams) SetGenesis(genesis string) {
	m := &membership{genesis: genesis}
	if genesis == "" {
		m.server = s.cfg.ServerTLS(HelloProto)
	} else {
		m.server = s.cfg.ServerTLS(m.proto(), HelloProto)
	}
	s.of.Store(m)
}

func (s *Streams) acceptLoop() {
	defer s.wg.Done()
	slots := make(chan struct{}, MaxHandshakes)
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			s.cfg.Logger.Warn("raft accept", "err", err)
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
func (s *Streams) begin(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greetings[from] >= MaxHandshakes/8 {
		return false
	}
	s.greetings[from]++
	return true
}

func (s *Streams) end(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greetings[from]--; s.greetings[from] == 0 {
		delete(s.greetings, from)
	}
}

// greet completes the handshake, and says hello or hands the connection to Accept.
func (s *Streams) greet(raw net.Conn) error {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	of := s.of.Load()
	conn := tls.Server(raw, of.server)
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol == HelloProto {
		if _, err := s.cfg.Peer(&state); err != nil {
			return err
		}
		return s.sayHello(conn)
	}
	name, err := s.check(&state, of)
	if err != nil {
		return err
	}
	if !s.cfg.Roster.Knows(name) {
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
func (s *Streams) check(state *tls.ConnectionState, of *membership) (string, error) {
	if of.genesis == "" || state.NegotiatedProtocol != of.proto() {
		return "", fmt.Errorf("%w: protocol %q, want that of cluster %q", vstack.ErrForbidden, state.NegotiatedProtocol, of.genesis)
	}
	return s.cfg.Peer(state)
}

// Accept implements net.Listener for the transport that sends, to which nobody connects:
// the Transport has what comes.
func (s *Streams) Accept() (net.Conn, error) {
	<-s.ctx.Done()
	return nil, net.ErrClosed
}

// Dial implements raft.StreamLayer.
func (s *Streams) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	of := s.of.Load()
	if of.genesis == "" {
		return nil, fmt.Errorf("dial raft member at %s: %w: this one is of no cluster yet", addr, vstack.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(s.ctx, min(timeout, handshakeTimeout))
	defer cancel()
	cfg := s.cfg.ClientTLS.Clone()
	cfg.NextProtos = []string{of.proto()}
	to, _, _ := strings.Cut(string(addr), "|")
	conn, err := s.dialTLS(ctx, to, cfg)
	if err != nil {
		return nil, fmt.Errorf("dial raft member at %s: %w", to, err)
	}
	state := conn.ConnectionState()
	name, err := s.check(&state, of)
	if want, known := s.cfg.Roster.At(addr); err == nil && known && name != want {
		err = fmt.Errorf("%w: want %q, %q answers there", vstack.ErrForbidden, want, name)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial raft member at %s: %w", to, err)
	}
	return conn, nil
}

// dialTLS connects and shakes hands; whoever listens there proves itself for its address.
func (s *Streams) dialTLS(ctx context.Context, addr string, cfg *tls.Config) (*tls.Conn, error) {
	raw, err := s.cfg.Network.Dial(ctx, "tcp", addr)
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
func (s *Streams) Addr() net.Addr { return advertised(s.cfg.Advertise) }

type advertised raft.ServerAddress

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }

// Close stops accepting, closes every accepted connection and waits.
func (s *Streams) Close() error {
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
	owner *Streams
}

// Judge ends the connections of those who may not speak Raft any more.
func (s *Streams) Judge() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		state := c.Conn.(*tls.Conn).ConnectionState() // greet made it
		if _, err := s.cfg.Peer(&state); err != nil {
			s.refused.Warn("raft connection ended", "from", c.RemoteAddr(), "err", err)
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
