package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// senders takes what other members send. The library's transport forgets over which
// connection a message came, so each sender has a transport of its own, and what comes out
// of that is held to the name in the sender's certificate: nobody speaks for another.
type senders struct {
	streams *Streams
	log     hclog.Logger
	out     chan raft.RPC // Raft's main loop reads it

	mu     sync.Mutex
	of     map[string]*sender
	closed bool
	done   chan struct{}
	wg     sync.WaitGroup
}

func newSenders(s *Streams, log hclog.Logger) *senders {
	all := &senders{streams: s, log: log, out: make(chan raft.RPC), of: map[string]*sender{}, done: make(chan struct{})}
	all.wg.Go(all.accept)
	return all
}

// accept gives each connection to its sender.
func (s *senders) accept() {
	for {
		select {
		case c := <-s.streams.ready:
			if to := s.sender(c.name); to == nil || !to.take(c.Conn) {
				_ = c.Close()
			}
		case <-s.done:
			return
		}
	}
}

// sender is who has the name; nil once all are closed.
func (s *senders) sender(name string) *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if have := s.of[name]; have != nil {
		return have
	}
	if len(s.of) >= 2*s.streams.cfg.MaxPeers { // most of them were removed since
		for other, have := range s.of {
			if !s.streams.cfg.Roster.Member(other) {
				delete(s.of, other)
				have.close()
			}
		}
	}
	of := &sender{name: name, all: s, conns: make(chan net.Conn), gone: make(chan struct{})}
	of.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: of, MaxPool: 1, Timeout: s.streams.cfg.Timeout, Logger: s.log})
	s.of[name] = of
	s.wg.Go(of.pump)
	return of
}

// judge holds a message to the certificate that it came under. Its header has the id under
// which Raft knows the sender, instance included: a member whose directory was emptied is
// another one.
func (s *senders) judge(name string, rpc raft.RPC) error {
	m, ok := rpc.Command.(raft.WithRPCHeader)
	if !ok {
		return fmt.Errorf("%w: %T does not say who sends it", vstack.ErrForbidden, rpc.Command)
	}
	id := raft.ServerID(m.GetRPCHeader().ID)
	if !s.streams.cfg.Roster.KnowsAs(name, id) {
		return fmt.Errorf("%w: %T in the name of %.80q came under the certificate of %q", vstack.ErrForbidden, rpc.Command, id, name)
	}
	return nil
}

// Close ends all connections and waits.
func (s *senders) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		for _, of := range s.of {
			of.close()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// sender is one member that sends; it is the raft.StreamLayer of its transport.
type sender struct {
	name      string
	all       *senders
	transport *raft.NetworkTransport
	conns     chan net.Conn
	gone      chan struct{}
	once      sync.Once
}

// take hands a connection to the transport; false once that is closed.
func (s *sender) take(c net.Conn) bool {
	select {
	case s.conns <- c:
		return true
	case <-s.gone:
		return false
	}
}

// pump passes on what the sender may say.
func (s *sender) pump() {
	for {
		select {
		case rpc := <-s.transport.Consumer():
			if err := s.all.judge(s.name, rpc); err != nil {
				s.all.streams.refused.Warn("raft message refused", "from", s.name, "err", err)
				rpc.Respond(nil, err)
				continue
			}
			select {
			case s.all.out <- rpc:
			case <-s.gone:
				return
			}
		case <-s.gone:
			return
		}
	}
}

func (s *sender) close() {
	s.once.Do(func() { close(s.gone) })
	s.transport.CloseStreams()
	_ = s.transport.Close()
}

// Accept implements net.Listener.
func (s *sender) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.gone:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *sender) Close() error { return nil }

// Addr implements net.Listener.
func (s *sender) Addr() net.Addr { return s.all.streams.Addr() }

var errReceives = errors.New("this transport only receives")

// Dial implements raft.StreamLayer.
func (s *sender) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) { return nil, errReceives }
