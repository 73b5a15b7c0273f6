package stores

import (
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

	c    *Pool
	lane lane
	meter
	tcpUp atomic.Bool // TCP was the last to work
	echo  atomic.Uint64
}

func newPeer(c *Pool, s vstack.Store) *Peer {
	p := &Peer{c: c, ID: s.ID, Addr: s.Addr}
	p.lane.p = p
	return p
}

// Warm has a QUIC connection made, if reads may use one and there is none.
func (p *Peer) Warm() {
	if !p.c.cfg.NoQUIC {
		p.lane.warm()
	}
}

// RoundTrip sends a request over the transport that how names and returns the answer
// and its protocol. The body of a request is not touched before a connection stands.
func (p *Peer) RoundTrip(req *http.Request, how Transport) (*http.Response, string, error) {
	ctx := req.Context()
	var quicErr error
	if how != TCP {
		wait := p.c.cfg.FallbackAfter
		if how == QUIC {
			wait = p.c.cfg.HandshakeTimeout
		}
		h3, err := p.lane.conn(ctx, wait)
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
		quicErr = err
	}
	resp, err := p.c.tcp.RoundTrip(req)
	if how != TCP || p.c.cfg.NoQUIC { // writes say nothing about reads
		p.tcpUp.Store(err == nil)
	}
	if err != nil {
		if quicErr != nil {
			err = fmt.Errorf("%w (and before: %w)", err, quicErr)
		}
		return nil, "tcp", err
	}
	if how != TCP {
		p.lane.tcpWorked()
	}
	return resp, strings.ToLower(resp.Proto), nil
}

// Signals is what is known of the store now. now is on the pool's clock.
func (p *Peer) Signals(now time.Duration, s vstack.Store) policy.Signals {
	sig := policy.Signals{
		Store: p.ID, Host: s.Host, Addr: p.Addr, State: s.State,
		Link: policy.LinkIdle, Freshness: now, RTT: 100 * time.Millisecond,
	}
	packets := p.lane.fill(&sig, now)
	if sig.Link != policy.LinkQUIC && p.tcpUp.Load() {
		sig.Link = policy.LinkTCP
	}
	p.meter.fill(&sig, now, packets)
	return sig
}

// fill writes the connection's part of s and returns the packets received on it.
func (l *lane) fill(s *policy.Signals, now time.Duration) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.alive():
		s.Link = policy.LinkQUIC
	case l.dialing != nil && l.err == nil:
		s.Link = policy.LinkDialing
		return 0
	case l.err != nil:
		s.Link = policy.LinkDown
		return 0
	default:
		return 0
	}
	l.fresh(now)
	stats := l.qc.ConnectionStats()
	s.Freshness = now - l.packetsSeen
	// Before the first sample quic-go reports its guess of 100 ms, and no minimum.
	s.Measured = stats.MinRTT > 0
	s.RTT, s.RTTVar, s.MinRTT = stats.SmoothedRTT, stats.MeanDeviation, stats.MinRTT
	return stats.PacketsReceived
}

// Packets is how many packets came on the QUIC connection; 0 without one.
func (p *Peer) Packets() uint64 {
	l := &p.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.alive() {
		return 0
	}
	return l.qc.ConnectionStats().PacketsReceived
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
