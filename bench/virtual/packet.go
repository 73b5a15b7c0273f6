package virtual

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// inboxBytes is the receive buffer of a socket; what does not fit is dropped, as a kernel
// drops it.
const inboxBytes = 8 << 20

// packetConn is a socket for datagrams.
type packetConn struct {
	host  *Host
	local netip.AddrPort
	addr  *net.UDPAddr

	mu       sync.Mutex
	ready    sync.Cond // a datagram came, the deadline passed, or it was closed
	inbox    []datagram
	bytes    int
	deadline time.Time
	timer    *time.Timer
	closed   bool
}

type datagram struct {
	from net.Addr
	data *[]byte
}

// datagrams are reused: a film is a hundred thousand of them.
var datagrams = sync.Pool{New: func() any { b := make([]byte, 0, 1500); return &b }}

// WriteTo implements net.PacketConn.
func (c *packetConn) WriteTo(p []byte, to net.Addr) (int, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("write to %v: %w: not a UDP address", to, vstack.ErrInvalid)
	}
	dst := udp.AddrPort()
	dst = netip.AddrPortFrom(dst.Addr().Unmap(), dst.Port())
	data := datagrams.Get().(*[]byte)
	*data = append((*data)[:0], p...)
	n := c.host.net
	n.send(flow{c.local, dst}, len(p)+overhead, func() {
		n.mu.Lock()
		host := n.hosts[dst.Addr()]
		n.mu.Unlock()
		if peer := host.packetConn(dst.Port()); peer != nil {
			peer.receive(datagram{c.addr, data})
		}
	}, nil)
	return len(p), nil
}

func (c *packetConn) receive(d datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.bytes+len(*d.data) > inboxBytes {
		return
	}
	c.bytes += len(*d.data)
	c.inbox = append(c.inbox, d)
	c.ready.Signal()
}

// ReadFrom implements net.PacketConn.
func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, nil, net.ErrClosed
		case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
			return 0, nil, os.ErrDeadlineExceeded
		case len(c.inbox) > 0:
			d := c.inbox[0]
			c.inbox[0] = datagram{}
			c.inbox = c.inbox[1:]
			c.bytes -= len(*d.data)
			n := copy(p, *d.data)
			datagrams.Put(d.data)
			return n, d.from, nil
		}
		c.ready.Wait()
	}
}

// Close implements net.PacketConn.
func (c *packetConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.inbox, c.bytes = nil, 0
	c.timer = deadlineTimer(c.timer, time.Time{}, nil)
	c.ready.Broadcast()
	c.mu.Unlock()
	c.host.free(c.local.Port(), c)
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *packetConn) LocalAddr() net.Addr { return c.addr }

// SetDeadline implements net.PacketConn.
func (c *packetConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.deadline = t
	c.timer = deadlineTimer(c.timer, t, c.wake)
	c.ready.Broadcast()
	return nil
}

func (c *packetConn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready.Broadcast()
}

// SetWriteDeadline implements net.PacketConn; a write never waits.
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer is there so that QUIC does not warn of a small buffer.
func (c *packetConn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer is SetReadBuffer for the other direction.
func (c *packetConn) SetWriteBuffer(int) error { return nil }
