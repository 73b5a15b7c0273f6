package serve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"
)

// errTooManyConns refuses a connection; its peer sees a closed or refused connection.
var errTooManyConns = errors.New("too many connections")

// connLimiter counts connections of both transports, in all and by remote address.
type connLimiter struct {
	max, maxPerIP int

	mu   sync.Mutex // guards all below
	open int
	byIP map[netip.Addr]int // bounded by open ≤ max
}

func newConnLimiter(max, maxPerIP int) *connLimiter {
	return &connLimiter{max: max, maxPerIP: maxPerIP, byIP: make(map[netip.Addr]int)}
}

// enter counts a connection in, or refuses it. The func it returns counts it out, once.
func (l *connLimiter) enter(remote net.Addr) (leave func(), err error) {
	ip := addrOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max || l.byIP[ip] >= l.maxPerIP {
		return nil, errTooManyConns
	}
	l.open++
	l.byIP[ip]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
		if l.byIP[ip]--; l.byIP[ip] == 0 {
			delete(l.byIP, ip)
		}
	}), nil
}

// quicContext is quic.Transport's ConnContext: it refuses a connection beyond the
// limits before its handshake costs anything, and counts it out when it ends.
func (l *connLimiter) quicContext(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	leave, err := l.enter(info.RemoteAddr)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, leave)
	return ctx, nil
}

func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{} // one bucket for what has no address
}

// limitedListener applies the limits to TCP.
type limitedListener struct {
	net.Listener
	limits *connLimiter
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, err := l.limits.enter(conn.RemoteAddr())
		if err != nil {
			_ = conn.Close() // refused; there is nobody to tell
			continue
		}
		return &limitedConn{Conn: conn, leave: leave}, nil
	}
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
