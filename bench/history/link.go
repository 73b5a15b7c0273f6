package history

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// link is the way from one client to one store: a forwarder of TCP that can be cut, in
// either direction by itself. What is under way when it is cut waits, as in a network
// that TCP retransmits over: it arrives when the link heals, unless the connections are
// reset.
type link struct {
	listener net.Listener
	target   string
	up, down gate // client to store, store to client

	wg    sync.WaitGroup
	mu    sync.Mutex // guards what is below
	conns map[net.Conn]struct{}
	ended bool
}

// newLink listens at addr, HOST:0 for any port, and forwards to target. Close ends it.
func newLink(addr, target string) (*link, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", target, err)
	}
	l := &link{listener: ln, target: target, conns: map[net.Conn]struct{}{}}
	l.wg.Go(l.accept)
	return l, nil
}

// Addr is what the client dials.
func (l *link) Addr() string { return l.listener.Addr().String() }

// cut stops the directions that are named.
func (l *link) cut(up, down bool) {
	if up {
		l.up.shut()
	}
	if down {
		l.down.shut()
	}
}

// heal lets both directions flow. With reset every connection breaks first, and what
// was under way is lost.
func (l *link) heal(reset bool) {
	if reset {
		l.mu.Lock()
		for c := range l.conns {
			_ = c.Close() // a broken connection is the purpose
		}
		l.mu.Unlock()
	}
	l.up.open()
	l.down.open()
}

// Close ends the listener and every connection, and waits for them.
func (l *link) Close() error {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	err := l.listener.Close()
	l.heal(true)
	l.wg.Wait()
	return err
}

func (l *link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.wg.Go(func() { l.carry(c) })
	}
}

// carry forwards one connection until either end breaks.
func (l *link) carry(client net.Conn) {
	defer client.Close()
	if !l.keep(client) {
		return
	}
	defer l.drop(client)
	store, err := net.DialTimeout("tcp", l.target, time.Second)
	if err != nil {
		return // as if the store had refused it
	}
	defer store.Close()
	if !l.keep(store) {
		return
	}
	defer l.drop(store)
	var both sync.WaitGroup
	both.Go(func() { l.pump(store, client, &l.up) })
	both.Go(func() { l.pump(client, store, &l.down) })
	both.Wait()
}

// pump copies while the gate is open. Either end's failure ends both directions.
func (l *link) pump(to, from net.Conn, g *gate) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		g.pass()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *link) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// gate lets pass while it is not shut. The zero gate is open.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // non-nil while shut; closed when it opens
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

// pass waits until the gate is open.
func (g *gate) pass() {
	g.mu.Lock()
	shut := g.closed
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// links are a client's ways to all stores, by the store's own address.
type links map[string]*link

// openLinks makes a link to every store. Each listens at its store's own IP address, so
// that the store's certificate fits.
func openLinks(stores []string) (links, error) {
	all := links{}
	for _, addr := range stores {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("store address %q: %w: %v", addr, vstack.ErrInvalid, err), all.Close())
		}
		if all[addr], err = newLink(net.JoinHostPort(host, "0"), addr); err != nil {
			delete(all, addr)
			return nil, errors.Join(err, all.Close())
		}
	}
	return all, nil
}

// via maps each store's address to its link's.
func (ls links) via() map[string]string {
	out := map[string]string{}
	for addr, l := range ls {
		out[addr] = l.Addr()
	}
	return out
}

// to are the links to the stores of one host.
func (ls links) to(hostIP string) []*link {
	var out []*link
	for addr, l := range ls {
		if host, _, _ := net.SplitHostPort(addr); host == hostIP {
			out = append(out, l)
		}
	}
	return out
}

// Close ends all links.
func (ls links) Close() error {
	var errs []error
	for _, l := range ls {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
