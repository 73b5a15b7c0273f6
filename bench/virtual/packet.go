package virtual

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/link/inbox"
	"github.com/vstack/vstack/internal/vstack"
)

// packetConn is a socket for datagrams.
type packetConn struct {
	host  *Host
	local netip.AddrPort
	addr  *net.UDPAddr
	inbox *inbox.Inbox[datagram]
}

type datagram struct {
	from net.Addr
	data *[]byte
}

// datagrams are reused: a film is a hundred thousand of them.
var datagrams = sync.Pool{New: func() any { b := make([]byte, 0, 1500); return &b }}

// WriteTo implements net.PacketConn.
func (c *packetConn) WriteTo(p []byte, to net.Addr) (int, error) {
	if c.inbox.Closed() {
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
			peer.inbox.Put(datagram{c.addr, data})
		}
	}, nil)
	return len(p), nil
}

// ReadFrom implements net.PacketConn.
func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	d, err := c.inbox.Take()
	if err != nil {
		return 0, nil, err
	}
	n := copy(p, *d.data)
	datagrams.Put(d.data)
	return n, d.from, nil
}

// Close implements net.PacketConn.
func (c *packetConn) Close() error {
	c.inbox.Close()
	c.host.free(c.local.Port(), c)
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *packetConn) LocalAddr() net.Addr { return c.addr }

// SetDeadline implements net.PacketConn.
func (c *packetConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *packetConn) SetReadDeadline(t time.Time) error { return c.inbox.SetDeadline(t) }

// SetWriteDeadline implements net.PacketConn; a write never waits.
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer is there so that QUIC does not warn of a small buffer.
func (c *packetConn) SetReadBuffer(int) error { return nil }

// SetWriteBuffer is SetReadBuffer for the other direction.
func (c *packetConn) SetWriteBuffer(int) error { return nil }
