package abuse

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/sleep"
)

// Part is the name of the attackers' process: EXE bench part strangers.
const Part = "strangers"

// again is how long an attacker waits before it comes back.
const again = 20 * time.Millisecond

// Setup is the line of JSON on the standard input of the attackers' process. It attacks until
// its input ends, and then writes a line of JSON about what it did.
type Setup struct {
	Attack   string
	Target   string   // HOST:PORT
	Paths    []string // what there is to ask for
	Roots    string   // the file of the cluster's authority
	Strength int
	Keys     []netip.Addr // where the attackers come from
}

// Did is what the attackers did.
type Did struct {
	Connections int64 // made; of initials: packets
	Refused     int64 // that were not, or ended by the other side
	Requests    int64 // asked, whole or half
}

// crew is the attackers of one process.
type crew struct {
	Setup
	tls  *tls.Config
	did  struct{ conns, refused, requests atomic.Int64 }
	mu   sync.Mutex // guards udp
	udp  map[netip.Addr]*quic.Transport
	next atomic.Int64
}

// Serve is the attackers' process.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := bufio.NewReader(in)
	c := &crew{udp: map[netip.Addr]*quic.Transport{}}
	line, err := lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.Setup)
	}
	if err != nil {
		return fmt.Errorf("read setup of strangers: %w", err)
	}
	attack, err := choose([]string{c.Attack})
	if err != nil {
		return err
	}
	roots, err := identity.LoadRoots(c.Roots)
	if err != nil {
		return err
	}
	c.tls = roots.ClientTLS()
	go func() { // ends with the process, at the latest
		_, _ = io.Copy(io.Discard, lines)
		cancel()
	}()
	err = attack[0].run(ctx, c)
	for _, t := range c.udp {
		_ = t.Close() // nobody waits for anything of it
		_ = t.Conn.Close()
	}
	if err != nil {
		return fmt.Errorf("attack %s: %w", c.Attack, err)
	}
	return json.NewEncoder(out).Encode(Did{c.did.conns.Load(), c.did.refused.Load(), c.did.requests.Load()})
}

// keep has n attackers, each of which comes back when it is sent away.
func (c *crew) keep(ctx context.Context, n int, hold func(ctx context.Context, from netip.Addr) error) error {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := hold(ctx, c.Keys[i%len(c.Keys)]); err != nil && ctx.Err() == nil {
					c.did.refused.Add(1)
				}
				sleep.For(ctx, again)
			}
		})
	}
	wg.Wait()
	return nil
}

// path is one after the other of what there is to ask for.
func (c *crew) path() string { return c.Paths[int(c.next.Add(1))%len(c.Paths)] }

// dial opens a connection from an address; it ends with ctx.
func (c *crew) dial(ctx context.Context, from netip.Addr) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", c.Target)
	if err != nil {
		return nil, err
	}
	c.did.conns.Add(1)
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}

// dialTLS is dial with a handshake, of which one protocol is asked for.
func (c *crew) dialTLS(ctx context.Context, from netip.Addr, proto string) (*tls.Conn, error) {
	conn, err := c.dial(ctx, from)
	if err != nil {
		return nil, err
	}
	conf := c.tls.Clone()
	conf.NextProtos = []string{proto}
	conf.ServerName = c.host()
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

func (c *crew) host() string {
	host, _, _ := net.SplitHostPort(c.Target) // it was dialled
	return host
}

// transport is the UDP socket of an address.
func (c *crew) transport(from netip.Addr) (*quic.Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.udp[from]; t != nil {
		return t, nil
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.AsSlice()})
	if err != nil {
		return nil, err
	}
	c.udp[from] = &quic.Transport{Conn: conn}
	return c.udp[from], nil
}

// dialQUIC opens a connection from an address.
func (c *crew) dialQUIC(ctx context.Context, from netip.Addr, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
	t, err := c.transport(from)
	if err != nil {
		return nil, err
	}
	to, err := net.ResolveUDPAddr("udp", c.Target)
	if err != nil {
		return nil, err
	}
	conf = conf.Clone()
	conf.ServerName = c.host()
	conn, err := t.DialEarly(ctx, to, conf, q)
	if err == nil {
		c.did.conns.Add(1)
	}
	return conn, err
}
