package viewer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/inbox"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// overhead is what a datagram takes beside its bytes.
	overhead = 28
	// datagram is the largest one that is read.
	datagram = 2048
)

// conn is a socket for datagrams behind links.
type conn struct {
	net     *Network
	below   *net.UDPConn
	reading sync.WaitGroup
	inbox   *inbox.Inbox[came]

	mu    sync.Mutex
	paths map[netip.AddrPort]*path
}

// came is a datagram for the reader.
type came struct {
	from *net.UDPAddr
	data []byte
}

// path is where a socket's datagrams to a host go, and whence those from it come.
type path struct{ out, in link.Target }

func newConn(n *Network, below *net.UDPConn) *conn {
	return &conn{net: n, below: below, paths: map[netip.AddrPort]*path{}, inbox: inbox.New(func(d came) int { return len(d.data) })}
}

// hop has what passed one link go over another.
type hop struct {
	over *way
	to   link.Target
}

// Deliver implements link.Target.
func (h *hop) Deliver(w *link.Way, run []shape.Due[link.Parcel]) {
	for _, d := range run {
		if !h.over.Push(w.Time(d.At), len(d.Packet.Data)+overhead, h.over.dice, link.Parcel{Data: d.Packet.Data, To: h.to}) {
			link.Release(d.Packet.Data)
		}
	}
	w.Sent(run)
}

// exit gives datagrams to the kernel.
type exit struct {
	conn *net.UDPConn
	to   netip.AddrPort
}

// Deliver implements link.Target.
func (e *exit) Deliver(w *link.Way, run []shape.Due[link.Parcel]) {
	for _, d := range run {
		_, _ = e.conn.WriteToUDPAddrPort(d.Packet.Data, e.to) // what cannot be sent is lost
		link.Release(d.Packet.Data)
	}
	w.Sent(run)
}

// entry gives datagrams to the socket's reader.
type entry struct {
	conn *conn
	from *net.UDPAddr
}

// Deliver implements link.Target.
func (e *entry) Deliver(w *link.Way, run []shape.Due[link.Parcel]) {
	for _, d := range run {
		e.conn.receive(came{e.from, d.Packet.Data})
	}
	w.Sent(run)
}

// path finds the way to and from a host; nil if there is no link.
func (c *conn) path(at netip.AddrPort) (*host, *path) {
	h := c.net.hosts[at]
	if h == nil {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.paths[at]
	if p == nil {
		p = &path{
			out: &hop{h.down, &exit{c.below, at}},
			in:  &hop{c.net.down, &entry{c, net.UDPAddrFromAddrPort(at)}},
		}
		c.paths[at] = p
	}
	return h, p
}

// WriteTo implements net.PacketConn.
func (c *conn) WriteTo(p []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("write to %v: %w: not a UDP address", to, vstack.ErrInvalid)
	}
	_, via := c.path(plain(udp.AddrPort()))
	if via == nil {
		return c.below.WriteTo(p, to)
	}
	if c.inbox.Closed() {
		return 0, net.ErrClosed
	}
	push(c.net.up, time.Now(), p, via.out)
	return len(p), nil
}

func push(w *way, arrived time.Time, p []byte, to link.Target) {
	data := link.Held(p)
	if !w.Push(arrived, len(data)+overhead, w.dice, link.Parcel{Data: data, To: to}) {
		link.Release(data)
	}
}

// readAll takes datagrams from the kernel until the socket is closed.
func (c *conn) readAll() {
	var buf [datagram]byte
	for {
		n, from, err := c.below.ReadFromUDPAddrPort(buf[:])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of one datagram, as an unreachable host
		}
		from = plain(from)
		if h, via := c.path(from); via != nil {
			push(h.up, time.Now(), buf[:n], via.in)
			continue
		}
		c.receive(came{net.UDPAddrFromAddrPort(from), link.Held(buf[:n])})
	}
}

func (c *conn) receive(d came) {
	if !c.inbox.Put(d) {
		link.Release(d.data)
	}
}

// ReadFrom implements net.PacketConn.
func (c *conn) ReadFrom(p []byte) (int, net.Addr, error) {
	d, err := c.inbox.Take()
	if err != nil {
		return 0, nil, err
	}
	n := copy(p, d.data)
	link.Release(d.data)
	return n, d.from, nil
}

// Close implements net.PacketConn.
func (c *conn) Close() error {
	left, was := c.inbox.Close()
	for _, d := range left {
		link.Release(d.data)
	}
	if !was {
		return nil
	}
	err := c.below.Close()
	c.reading.Wait()
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return err
}

// LocalAddr implements net.PacketConn.
func (c *conn) LocalAddr() net.Addr { return c.below.LocalAddr() }

// SetReadBuffer and SetWriteBuffer are the kernel's; QUIC asks for large ones.
func (c *conn) SetReadBuffer(n int) error  { return c.below.SetReadBuffer(n) }
func (c *conn) SetWriteBuffer(n int) error { return c.below.SetWriteBuffer(n) }

// SetDeadline implements net.PacketConn.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn: no write waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.PacketConn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.inbox.SetDeadline(t) }
