package proof

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/bench/link/tun"
)

// port is where the receiver listens, in UDP and TCP.
const port = 9000

// ends are sockets on the two sides of a link that is open.
type ends struct {
	p        *process
	from, at string // files of the sender's and the receiver's namespaces; "": this process's
	server   netip.AddrPort
	via      netip.AddrPort // what the sender dials
	udp      *net.UDPConn   // the receiver's
	tcp      *net.TCPListener
	dial     sync.Mutex
}

// open opens a link of a shape, and the receiver's sockets.
func (c Config) open(p *process, s shape.Shape, withTCP bool) (_ *ends, err error) {
	e := &ends{p: p, server: netip.AddrPortFrom(c.Server, port)}
	o := order{Shape: s}
	if c.TUN {
		first, err := netns.FreeSubnet()
		if err != nil {
			return nil, err
		}
		o.Hosts = []netip.Addr{first, first.Next()}
		e.server = netip.AddrPortFrom(first.Next(), port)
		e.via = e.server
	} else {
		o.Relay, o.To, o.TCP = netip.AddrPortFrom(c.Server, 0).String(), e.server.String(), withTCP
	}
	a, err := p.tell(o)
	if err != nil {
		return nil, err
	}
	if c.TUN {
		e.from, e.at = a.Paths[0], a.Paths[1]
	} else {
		e.via = a.Addr
	}
	err = tun.In(e.at, func() (err error) {
		if e.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(e.server)); err != nil {
			return err
		}
		_ = e.udp.SetReadBuffer(8 << 20) // what the kernel gives shows in what is lost
		if e.tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(e.server)); err != nil {
			_ = e.udp.Close()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen behind the link: %w", err)
	}
	return e, nil
}

func (e *ends) dialUDP() (c *net.UDPConn, err error) {
	err = tun.In(e.from, func() (err error) {
		c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(e.via))
		return err
	})
	return c, err
}

// dialTCP connects, and gives both ends. The payload of a segment is at most that, if it
// is given.
func (e *ends) dialTCP(segment int) (sender, receiver *net.TCPConn, err error) {
	e.dial.Lock() // the next connection accepted is the one dialled
	defer e.dial.Unlock()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if segment == 0 {
			return nil
		}
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment) })
		return errors.Join(err, cerr)
	}}
	err = tun.In(e.from, func() error {
		c, err := d.Dial("tcp4", e.via.String())
		if err == nil {
			sender = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if receiver, err = e.tcp.AcceptTCP(); err != nil {
		_ = sender.Close()
		return nil, nil, err
	}
	return sender, receiver, nil
}

// close closes the receiver's sockets, and returns what the link did.
func (e *ends) close() (answer, error) {
	_, _ = e.udp.Close(), e.tcp.Close() // nothing more is read
	return e.p.tell(order{Report: true})
}
