package virtual

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vstack/vstack/bench/link/inbox"
)

const (
	backlog = 128
	// segment and window are those of a connection: a write waits for room in the window, which
	// begins with what TCP sends before the first acknowledgement, ten packets, and grows by all
	// that is taken.
	segment     = 8 << 10
	window      = 1 << 20
	firstWindow = 10 * 1460
	// resend is how long a segment that was lost is missed, doubled with each loss.
	resend    = 200 * time.Millisecond
	resendMax = 5 * time.Second
)

// listener accepts connections.
type listener struct {
	host  *Host
	local netip.AddrPort
	queue chan *stream
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case s := <-l.queue:
		return s, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.host.mu.Lock()
		delete(l.host.listeners, l.local.Port())
		l.host.mu.Unlock()
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }

// Dial implements network.Network. Nobody listening is ECONNREFUSED after a round trip; a
// host that does not answer costs the whole of ctx.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, fmt.Errorf("dial %s %s: %w", network, addr, err)
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fail(err)
	}
	h.mu.Lock()
	port, err := h.bind(":0", func(uint16) bool { return false })
	h.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	n := h.net
	f := flow{netip.AddrPortFrom(h.addr, port), to}
	made := make(chan *stream, 1) // nil: refused
	n.reliably(f, overhead, func() {
		n.mu.Lock()
		peer := n.hosts[to.Addr()]
		n.mu.Unlock()
		s := peer.accept(h, f)
		n.reliably(flow{f.to, f.from}, overhead, func() { made <- s })
	})
	select {
	case s := <-made:
		if s == nil {
			return fail(syscall.ECONNREFUSED)
		}
		return s, nil
	case <-ctx.Done():
		return fail(ctx.Err())
	case <-n.quit:
		return fail(net.ErrClosed)
	}
}

// accept makes both ends of a connection that a dial asks for; nil refuses it.
func (h *Host) accept(from *Host, f flow) *stream {
	h.mu.Lock()
	l := h.listeners[f.to.Port()]
	h.mu.Unlock()
	if l == nil {
		return nil
	}
	ours, theirs := newStream(from, f.from, f.to), newStream(h, f.to, f.from)
	ours.peer, theirs.peer = theirs, ours
	select {
	case l.queue <- theirs:
	default:
		return nil
	}
	from.keep(ours)
	h.keep(theirs)
	return ours
}

func (h *Host) keep(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams = append(h.streams, s)
}

// reliably sends until it arrives.
func (n *Net) reliably(f flow, size int, then func()) {
	pause := resend
	var lost func()
	lost = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.at(n.now()+pause, func() { n.send(f, size, then, lost) })
		pause = min(2*pause, resendMax)
	}
	n.send(f, size, then, lost)
}

// stream is one end of a connection.
type stream struct {
	host          *Host
	local, remote netip.AddrPort
	peer          *stream

	mu       sync.Mutex
	changed  sync.Cond
	in       []byte
	early    map[uint64][]byte // segments that arrived before an older one
	next     uint64            // segment to come
	eof      bool
	sent     uint64 // segments
	inFlight int    // bytes that the other end has not taken
	open     int    // the window
	closed   bool
	closing  atomic.Bool // closed, for the other end, which must not wait for mu
	readBy   time.Time
	writeBy  time.Time
	timers   [2]*time.Timer
}

func newStream(h *Host, local, remote netip.AddrPort) *stream {
	s := &stream{host: h, local: local, remote: remote, early: map[uint64][]byte{}, open: firstWindow}
	s.changed.L = &s.mu
	return s
}

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case len(s.in) > 0:
			n := copy(p, s.in)
			s.in = s.in[n:]
			s.host.net.reliably(flow{s.local, s.remote}, overhead, func() { s.peer.taken(n) })
			return n, nil
		case s.eof:
			return 0, io.EOF
		case !s.readBy.IsZero() && !time.Now().Before(s.readBy):
			return 0, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// taken makes room in the window.
func (s *stream) taken(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight -= n
	s.open = min(s.open+n, window)
	s.changed.Broadcast()
}

// Write implements net.Conn.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for done < len(p) {
		switch {
		case s.closed:
			return done, net.ErrClosed
		case s.peer.closing.Load():
			return done, syscall.EPIPE
		case !s.writeBy.IsZero() && !time.Now().Before(s.writeBy):
			return done, os.ErrDeadlineExceeded
		case s.inFlight >= s.open:
			s.changed.Wait()
			continue
		}
		part := append([]byte(nil), p[done:min(len(p), done+min(segment, s.open-s.inFlight))]...)
		done += len(part)
		s.inFlight += len(part)
		s.put(part)
	}
	return done, nil
}

// put sends one segment; nil is the end. The lock is held.
func (s *stream) put(part []byte) {
	seq := s.sent
	s.sent++
	s.host.net.reliably(flow{s.local, s.remote}, len(part)+overhead, func() { s.peer.arrived(seq, part) })
}

func (s *stream) arrived(seq uint64, part []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early[seq] = part
	for {
		part, ok := s.early[s.next]
		if !ok {
			break
		}
		delete(s.early, s.next)
		s.next++
		s.in = append(s.in, part...)
		s.eof = s.eof || part == nil
	}
	s.changed.Broadcast()
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.put(nil)
	}
	s.closed = true
	s.closing.Store(true)
	for i := range s.timers {
		s.timers[i] = inbox.Timer(s.timers[i], time.Time{}, nil)
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	return nil
}

// LocalAddr implements net.Conn.
func (s *stream) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.local) }

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	s.setDeadline(0, &s.readBy, t)
	s.setDeadline(1, &s.writeBy, t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.setDeadline(0, &s.readBy, t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.setDeadline(1, &s.writeBy, t)
	return nil
}

func (s *stream) setDeadline(timer int, field *time.Time, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*field = t
	s.timers[timer] = inbox.Timer(s.timers[timer], t, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	s.changed.Broadcast()
}
