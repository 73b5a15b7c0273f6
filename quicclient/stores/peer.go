package stores

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

// ProtoH3 is how reports name HTTP/3; TCP's name is the response's own.
const ProtoH3 = "h3"

// readLanes is how many QUIC connections to a store reads use at once. Each has its own
// congestion window, so that a lost packet halves a part of what is under way.
const readLanes = 2

// Transport says how a request travels.
type Transport uint8

const (
	Auto Transport = iota // HTTP/3, and HTTP/1.1 over TLS where UDP does not get through
	QUIC
	TCP
)

// Peer is one store as this client is connected to it.
type Peer struct {
	ID   vstack.StoreID
	Addr string

	c     *Pool
	lanes [readLanes]lane // for reads; those beyond the first while several requests run
	write lane            // for writes over QUIC
	meter
	tcpUp atomic.Bool // TCP was the last to work
	echo  atomic.Uint64
}

func newPeer(c *Pool, s vstack.Store) *Peer {
	p := &Peer{c: c, ID: s.ID, Addr: s.Addr}
	for i := range p.lanes {
		p.lanes[i].p = p
	}
	p.write.p, p.write.writes = p, true
	return p
}

// Warm has a QUIC connection made, if reads may use one and there is none, and with all
// set as many as reads use.
func (p *Peer) Warm(all bool) {
	if p.c.cfg.NoQUIC {
		return
	}
	for i := range p.lanes {
		if i == 0 || all {
			p.lanes[i].warm()
		}
	}
}

// Rest closes the connections that a store without requests does not need.
func (p *Peer) Rest() {
	for i := 1; i < len(p.lanes); i++ {
		p.lanes[i].retire()
	}
}

// Doubt says that the store owes bytes and keeps silent: unless a packet comes, its
// connections are dialled again beside those that stand.
func (p *Peer) Doubt(now time.Duration) {
	for i := range p.lanes {
		p.lanes[i].doubt(now)
	}
}

func (p *Peer) close() {
	for i := range p.lanes {
		p.lanes[i].close()
	}
	p.write.close()
}

// Answer is the answer to a Get.
type Answer struct {
	*http.Response
	Proto string
}

// Get sends a read of n bytes on the connection that owes the least. Took must be called
// for what comes of them, and at the end for what never came.
func (p *Peer) Get(req *http.Request, how Transport, n int64) (a Answer, took func(int64), err error) {
	took = func(int64) {}
	var quicErr error
	lightest, tcp := p.lightest, p.c.reads
	if IsCertified(req.Context()) {
		lightest, tcp = func() *lane { return &p.write }, p.c.tcp
	}
	if how != TCP {
		l := lightest()
		l.load.Add(n)
		took = func(k int64) { l.load.Add(-k) }
		resp, proto, err := p.overQUIC(req, l, how, tcp)
		return Answer{resp, proto}, took, err
	}
	resp, proto, err := p.overTCP(req, tcp, true, quicErr)
	return Answer{resp, proto}, took, err
}

// certifiedKey marks the context of reads that show the certificate.
type certifiedKey struct{}

// Certified has reads under the context go where writes go, on connections that showed the
// certificate: private films are read so by who has one.
func Certified(ctx context.Context) context.Context {
	return context.WithValue(ctx, certifiedKey{}, true)
}

// IsCertified reports whether reads under the context do.
func IsCertified(ctx context.Context) bool {
	marked, _ := ctx.Value(certifiedKey{}).(bool)
	return marked
}

// lightest is the lane to send the next read on: of those that stand the one that owes
// the least, else the first.
func (p *Peer) lightest() *lane {
	var best *lane
	for i := range p.lanes {
		l := &p.lanes[i]
		if l.stands() && (best == nil || l.load.Load() < best.load.Load()) {
			best = l
		}
	}
	if best == nil {
		best = &p.lanes[0]
	}
	return best
}

// RoundTrip sends a write over the transport that how names and returns the answer and its
// protocol. The body of a request is not touched before a connection stands.
func (p *Peer) RoundTrip(req *http.Request, how Transport) (*http.Response, string, error) {
	if how == TCP {
		return p.overTCP(req, p.c.tcp, p.c.cfg.NoQUIC, nil)
	}
	return p.overQUIC(req, &p.write, how, p.c.tcp)
}

// overQUIC sends a request on a lane, and over TCP where no connection comes up in time.
func (p *Peer) overQUIC(req *http.Request, l *lane, how Transport, tcp *http.Transport) (*http.Response, string, error) {
	ctx := req.Context()
	wait := p.c.cfg.FallbackAfter
	if how == QUIC {
		wait = p.c.cfg.HandshakeTimeout
	}
	h3, err := l.conn(ctx, wait)
	if err == nil {
		resp, err := h3.RoundTrip(req)
		if err != nil {
			return nil, ProtoH3, err
		}
		p.tcpUp.Store(false)
		return resp, ProtoH3, nil
	}
	if how == QUIC || ctx.Err() != nil {
		return nil, ProtoH3, err
	}
	resp, proto, err := p.overTCP(req, tcp, true, err)
	if err == nil {
		for i := range p.lanes {
			p.lanes[i].tcpWorked()
		}
	}
	return resp, proto, err
}

// overTCP sends a request over TCP; before is why QUIC was not used, if it should have been.
func (p *Peer) overTCP(req *http.Request, tcp *http.Transport, read bool, before error) (*http.Response, string, error) {
	resp, err := tcp.RoundTrip(req)
	if read { // writes say nothing about reads
		p.tcpUp.Store(err == nil)
	}
	if err != nil {
		if before != nil {
			err = fmt.Errorf("%w (and before: %w)", err, before)
		}
		return nil, "tcp", err
	}
	return resp, strings.ToLower(resp.Proto), nil
}

// Signals is what is known of the store now. now is on the pool's clock.
func (p *Peer) Signals(now time.Duration, s vstack.Store) policy.Signals {
	sig := policy.Signals{
		Store: p.ID, Host: s.Host, Addr: p.Addr, State: s.State,
		Link: policy.LinkIdle, Freshness: now, RTT: 100 * time.Millisecond,
	}
	packets := p.fillLanes(&sig, now)
	if sig.Link != policy.LinkQUIC && p.tcpUp.Load() {
		sig.Link, sig.Conns = policy.LinkTCP, 1
	}
	p.meter.fill(&sig, now, packets)
	return sig
}

// fillLanes writes the connections' part of s, the freshest lane's where there are several,
// and returns the packets received on them.
func (p *Peer) fillLanes(s *policy.Signals, now time.Duration) (packets uint64) {
	for i := range p.lanes {
		one := policy.Signals{Link: policy.LinkIdle, Freshness: s.Freshness}
		n := p.lanes[i].fill(&one, now)
		packets += n
		if one.Link == policy.LinkQUIC {
			s.Conns++
		}
		switch {
		case i == 0, one.Link == policy.LinkQUIC && (s.Link != policy.LinkQUIC || !s.Measured || one.Measured && one.Freshness < s.Freshness):
			s.Link, s.Freshness = one.Link, min(s.Freshness, one.Freshness)
			if one.Link == policy.LinkQUIC {
				s.Measured, s.RTT, s.RTTVar, s.MinRTT = one.Measured, one.RTT, one.RTTVar, one.MinRTT
			}
		}
	}
	return packets
}

// Packets is how many packets came on the QUIC connections; 0 without one.
func (p *Peer) Packets() (n uint64) {
	for i := range p.lanes {
		l := &p.lanes[i]
		l.mu.Lock()
		if l.alive() {
			n += l.qc.ConnectionStats().PacketsReceived
		}
		l.mu.Unlock()
	}
	return n
}

// Echo is the highest LSN that this client saw the store acknowledge.
func (p *Peer) Echo() vstack.LSN { return vstack.LSN(p.echo.Load()) }

// Heard raises the echo.
func (p *Peer) Heard(lsn vstack.LSN) {
	for {
		old := p.echo.Load()
		if uint64(lsn) <= old || p.echo.CompareAndSwap(old, uint64(lsn)) {
			return
		}
	}
}
