package admission

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// ErrTooManyConns refuses a connection; its peer sees a closed or refused one.
var ErrTooManyConns = errors.New("too many connections")

// Conns bounds connections in all and of each address. Whose certificate will be shown is not
// known when one comes, so that the key is always an address.
type Conns struct {
	max, each int

	mu   sync.Mutex // guards all below
	open int
	of   map[Key]int // bounded by open ≤ max
}

// NewConns bounds connections to max, and those of one address to each.
func NewConns(max, each int) *Conns { return &Conns{max: max, each: each, of: map[Key]int{}} }

// Enter counts a connection in, or refuses it with ErrTooManyConns. The func that it returns
// counts it out, once.
func (c *Conns) Enter(remote net.Addr) (leave func(), err error) {
	key := KeyOfAddr(remote.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.max || c.of[key] >= c.each {
		return nil, ErrTooManyConns
	}
	c.open++
	c.of[key]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open--
		if c.of[key]--; c.of[key] == 0 {
			delete(c.of, key)
		}
	}), nil
}

// Of is how many connections there are, and how many of them are of the address of remote.
func (c *Conns) Of(remote net.Addr) (all, its int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.of[KeyOfAddr(remote.String())]
}

// Open is how many connections there are.
func (c *Conns) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// listeners is the part of the process's descriptors that the connections of one listener may
// have: the roles of a process share them, and so do the files of its stores.
const listeners = 16

// Listen applies the bounds to a listener: what is beyond them is closed. Where the process may
// have few descriptors, the bounds are lower: a crowd at one listener leaves those of the
// others, and of the disks.
func (c *Conns) Listen(l net.Listener) net.Listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err == nil && lim.Cur/listeners < uint64(c.max) {
		c.max = max(1, int(lim.Cur/listeners))
		c.each = min(c.each, max(1, c.max/2))
	}
	return &bounded{l, c}
}

type bounded struct {
	net.Listener
	conns *Conns
}

func (l *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, err := l.conns.Enter(conn.RemoteAddr())
		if err != nil {
			_ = conn.Close() // there is nobody to tell
			continue
		}
		return &counted{Conn: conn, leave: leave}, nil
	}
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
