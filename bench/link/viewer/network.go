package viewer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
)

// Host is a host's link.
type Host struct {
	Addrs    []string   // HOST:PORT of its stores
	Up, Down shape.Plan // of what it sends, and of what is sent to it
}

// Config is what is between a viewer and hosts.
type Config struct {
	Hosts []Host
	// Up and Down are the viewer's own link.
	Up, Down shape.Plan
	Seed     uint64
}

// Network is a viewer's.
type Network struct {
	os    network.OS
	up    *way
	down  *way
	hosts map[netip.AddrPort]*host
	ways  []*way

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
}

// host is the two directions of a host's link.
type host struct{ up, down *way }

// way is a direction and its chance, which only who pushes has, under the way's lock.
type way struct {
	*link.Way
	dice *rand.Rand
}

// Open makes the links, which begin now.
func Open(cfg Config) (_ *Network, err error) {
	n := &Network{hosts: map[netip.AddrPort]*host{}, conns: map[*conn]struct{}{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("links of a viewer: %w", err), n.Close())
		}
	}()
	open := func(p shape.Plan) (*way, error) {
		seed := cfg.Seed + uint64(len(n.ways))<<32
		w, err := link.NewWay(p, seed)
		if err != nil {
			return nil, err
		}
		n.ways = append(n.ways, &way{w, rand.New(rand.NewPCG(seed, 1))})
		return n.ways[len(n.ways)-1], nil
	}
	if n.up, err = open(cfg.Up); err != nil {
		return nil, err
	}
	if n.down, err = open(cfg.Down); err != nil {
		return nil, err
	}
	for _, h := range cfg.Hosts {
		var one host
		if one.up, err = open(h.Up); err != nil {
			return nil, err
		}
		if one.down, err = open(h.Down); err != nil {
			return nil, err
		}
		for _, addr := range h.Addrs {
			a, err := net.ResolveUDPAddr("udp", addr)
			if err != nil {
				return nil, fmt.Errorf("address %q: %w: %w", addr, vstack.ErrInvalid, err)
			}
			n.hosts[plain(a.AddrPort())] = &one
		}
	}
	return n, nil
}

// plain is an address in the one form that is looked for.
func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// ListenPacket implements network.Network.
func (n *Network) ListenPacket(ctx context.Context, proto, addr string) (net.PacketConn, error) {
	below, err := n.os.ListenPacket(ctx, proto, addr)
	if err != nil {
		return nil, err
	}
	udp, ok := below.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen %s %s: %w: not for datagrams", proto, addr, vstack.ErrInvalid), below.Close())
	}
	c := newConn(n, udp)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errors.Join(net.ErrClosed, udp.Close())
	}
	n.conns[c] = struct{}{}
	c.reading.Go(c.readAll)
	return c, nil
}

// Listen implements network.Network.
func (n *Network) Listen(ctx context.Context, proto, addr string) (net.Listener, error) {
	return n.os.Listen(ctx, proto, addr)
}

// Dial implements network.Network.
func (n *Network) Dial(ctx context.Context, proto, addr string) (net.Conn, error) {
	if a, err := net.ResolveUDPAddr("udp", addr); err == nil && n.hosts[plain(a.AddrPort())] != nil {
		return nil, fmt.Errorf("dial %s: %w: over emulated links there is QUIC alone", addr, errors.ErrUnsupported)
	}
	return n.os.Dial(ctx, proto, addr)
}

// Late is link.ErrLate if a link kept bad time: what was measured is the machine's then.
func (n *Network) Late() error {
	for _, w := range n.ways {
		if err := w.Counts().Err(); err != nil {
			return err
		}
	}
	return nil
}

// Close closes sockets and links.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	open := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		open = append(open, c)
	}
	n.mu.Unlock()
	var errs []error
	for _, c := range open {
		errs = append(errs, c.Close())
	}
	for _, w := range n.ways {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}
