package virtual

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/vstack/vstack/bench/link/inbox"
	"github.com/vstack/vstack/internal/vstack"
)

// firstPort is where the search for a free port begins.
const firstPort = 20000

// Host is one address of a Net; it is a network.Network.
type Host struct {
	net  *Net
	addr netip.Addr

	up, down *link // under the Net's lock

	mu        sync.Mutex
	port      uint16
	packets   map[uint16]*packetConn
	listeners map[uint16]*listener
	streams   []*stream
	closed    bool
}

// Set exchanges the host's links from now on; what is on its way arrives.
func (h *Host) Set(up, down LinkConfig) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	h.up = h.replaced(h.up, up)
	h.down = h.replaced(h.down, down)
}

// replaced keeps the queue and the statistics of a link whose figures change.
func (h *Host) replaced(old *link, cfg LinkConfig) *link {
	l := newLink(cfg, old.jitter)
	l.free, l.arrival, l.waiting, l.bytes, l.stats = old.free, old.arrival, old.waiting, old.bytes, old.stats
	return l
}

// Stats returns what the links did so far.
func (h *Host) Stats() (up, down LinkStats) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.up.stats, h.down.stats
}

// ListenPacket implements network.Network.
func (h *Host) ListenPacket(_ context.Context, network, addr string) (net.PacketConn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	port, err := h.bind(addr, func(p uint16) bool { return h.packets[p] != nil })
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, addr, err)
	}
	c := &packetConn{host: h, local: netip.AddrPortFrom(h.addr, port), inbox: inbox.New(func(d datagram) int { return len(*d.data) })}
	c.addr = udpAddr(c.local)
	h.packets[port] = c
	return c, nil
}

// Listen implements network.Network.
func (h *Host) Listen(_ context.Context, network, addr string) (net.Listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	port, err := h.bind(addr, func(p uint16) bool { return h.listeners[p] != nil })
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, addr, err)
	}
	l := &listener{host: h, local: netip.AddrPortFrom(h.addr, port), done: make(chan struct{}), queue: make(chan *stream, backlog)}
	h.listeners[port] = l
	return l, nil
}

// bind checks an address and finds a free port; the lock is held.
func (h *Host) bind(addr string, taken func(uint16) bool) (uint16, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	if host != "" && host != h.addr.String() {
		return 0, fmt.Errorf("%w: this host is %s", vstack.ErrInvalid, h.addr)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	case h.closed:
		return 0, net.ErrClosed
	case p != 0 && taken(uint16(p)):
		return 0, fmt.Errorf("%w: the port is taken", vstack.ErrAlreadyExists)
	case p != 0:
		return uint16(p), nil
	}
	for range 1 << 16 {
		if h.port++; h.port >= firstPort && !taken(h.port) {
			return h.port, nil
		}
	}
	return 0, fmt.Errorf("%w: no port is free", vstack.ErrUnavailable)
}

func (h *Host) free(port uint16, c *packetConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.packets[port] == c {
		delete(h.packets, port)
	}
}

func (h *Host) packetConn(port uint16) *packetConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.packets[port]
}

func (h *Host) close() {
	h.mu.Lock()
	h.closed = true
	var all []interface{ Close() error }
	for _, c := range h.packets {
		all = append(all, c)
	}
	for _, l := range h.listeners {
		all = append(all, l)
	}
	for _, s := range h.streams {
		all = append(all, s)
	}
	h.streams = nil
	h.mu.Unlock()
	for _, c := range all {
		_ = c.Close() // virtual sockets close without errors
	}
}
