package raftnode

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
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
	listener net.Listener
	server   *tls.Config
	client   *tls.Config
	admit    func(*tls.ConnectionState) error
	proto    string
	log      *slog.Logger

	ready  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	open map[*stream]struct{}
}

func listen(cfg Config, proto string) (*streams, error) {
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for raft: %w", err)
	}
	client := cfg.ClientTLS.Clone()
	client.NextProtos = []string{proto}
	s := &streams{
		listener: l, server: cfg.ServerTLS(proto), client: client, admit: cfg.Admit, proto: proto, log: cfg.Logger,
		ready: make(chan net.Conn), open: map[*stream]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Add(1)
	go s.acceptLoop()
	return s, nil
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

// greet completes the handshake and hands the connection to Accept.
func (s *streams) greet(raw net.Conn) error {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, s.server)
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := s.check(conn); err != nil {
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
func (s *streams) check(conn *tls.Conn) error {
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != s.proto {
		return fmt.Errorf("%w: protocol %q, want %q: another cluster or another peer list", vstack.ErrForbidden, state.NegotiatedProtocol, s.proto)
	}
	return s.admit(&state)
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
	ctx, cancel := context.WithTimeout(s.ctx, min(timeout, handshakeTimeout))
	defer cancel()
	d := tls.Dialer{Config: s.client}
	conn, err := d.DialContext(ctx, "tcp", string(addr))
	if err != nil {
		return nil, fmt.Errorf("dial raft member at %s: %w", addr, err)
	}
	if err := s.check(conn.(*tls.Conn)); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial raft member at %s: %w", addr, err)
	}
	return conn, nil
}

func (s *streams) Addr() net.Addr { return s.listener.Addr() }

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

// transport sends heartbeats through Raft's main loop by never taking the fast path.
type transport struct{ *raft.NetworkTransport }

func (transport) SetHeartbeatHandler(func(raft.RPC)) {}
