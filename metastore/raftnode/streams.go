package raftnode

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
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
	admit     func(*tls.ConnectionState) error
	hello     func(genesis string) hello
	log       *slog.Logger
	of        atomic.Pointer[membership]

	ready  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	open map[*stream]struct{}
}

// membership is which protocols are spoken: before this member is of a cluster, hello
// alone.
type membership struct {
	genesis string
	server  *tls.Config
}

func (m *membership) proto() string { return raftProto + m.genesis }

// listen starts to say hello; a genesis lets Raft in as well.
func listen(cfg Config, genesis string, say func(genesis string) hello) (*streams, error) {
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for raft: %w", err)
	}
	self := cfg.self()
	s := &streams{
		listener: l, advertise: serverAddress(self.Addr, self.API), serverTLS: cfg.ServerTLS, client: cfg.ClientTLS.Clone(),
		admit: cfg.Admit, hello: say, log: cfg.Logger, ready: make(chan net.Conn), open: map[*stream]struct{}{},
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
		select {
		case slots <- struct{}{}:
		default:
			_ = conn.Close() // a flood: hosts dial again
			continue
		}
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			defer func() { <-slots }()
			if err := s.greet(conn); err != nil {
				s.log.Warn("raft connection refused", "from", conn.RemoteAddr(), "err", err)
				_ = conn.Close()
			}
		}()
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
		if err := s.admit(&state); err != nil {
			return err
		}
		return s.sayHello(conn)
	}
	if err := s.check(&state, of); err != nil {
		return err
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
	case s.ready <- tracked:
		return nil
	case <-s.ctx.Done():
		_ = tracked.Close()
		return s.ctx.Err()
	}
}

// check wants the cluster's protocol and a member behind the certificate. A client
// that offers no protocol at all completes the handshake, so it is asked for here.
func (s *streams) check(state *tls.ConnectionState, of *membership) error {
	if of.genesis == "" || state.NegotiatedProtocol != of.proto() {
		return fmt.Errorf("%w: protocol %q, want that of cluster %q", vstack.ErrForbidden, state.NegotiatedProtocol, of.genesis)
	}
	return s.admit(state)
}

// Accept implements net.Listener.
func (s *streams) Accept() (net.Conn, error) {
	select {
	case conn := <-s.ready:
		return conn, nil
	case <-s.ctx.Done():
		return nil, net.ErrClosed
	}
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
	d := tls.Dialer{Config: cfg}
	to, _, _ := strings.Cut(string(addr), "|")
	conn, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, fmt.Errorf("dial raft member at %s: %w", to, err)
	}
	state := conn.(*tls.Conn).ConnectionState()
	if err := s.check(&state, of); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial raft member at %s: %w", to, err)
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

func (c *stream) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}
