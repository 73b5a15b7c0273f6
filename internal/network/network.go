package network

import (
	"context"
	"net"
	"time"
)

// Network opens sockets. The names of networks and the forms of addresses are those of
// package net; an address to dial is HOST:PORT.
type Network interface {
	// ListenPacket binds a socket for datagrams; "udp" with an empty address takes any
	// port. The address that it returns is a *net.UDPAddr.
	ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error)
	// Listen binds a listener for connections; its address is a *net.TCPAddr.
	Listen(ctx context.Context, network, addr string) (net.Listener, error)
	// Dial connects; ctx bounds it.
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
}

// OS is the operating system's network.
type OS struct {
	// KeepAlive is the time between probes of idle connections that were dialled; zero
	// is the default of package net.
	KeepAlive time.Duration
}

// ListenPacket implements Network.
func (OS) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, network, addr)
}

// Listen implements Network.
func (OS) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, network, addr)
}

// Dial implements Network.
func (o OS) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: o.KeepAlive}
	return d.DialContext(ctx, network, addr)
}

// Or is n, or the operating system where n is nil.
func Or(n Network, os OS) Network {
	if n == nil {
		return os
	}
	return n
}

// DialWithin is n.Dial bounded by a timeout, as http.Transport's DialContext takes it.
func DialWithin(n Network, timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return n.Dial(ctx, network, addr)
	}
}
