package stores

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

const (
	redialMin = 200 * time.Millisecond
	redialMax = 2 * time.Second
	// redialEager is how many dials of a store that was connected before follow each other
	// after redialMin: about a minute of them.
	redialEager = 60
	// redialBlocked is the pause where TCP works and QUIC does not: UDP is probably
	// blocked, and will stay so.
	redialBlocked = 30 * time.Second
	// staleAfter is how long a connection may bring no packet, although it is asked by
	// a PING every second, before another one is dialled beside it. A store that was
	// restarted cannot tell us: it answers no packet as short as a PING with a
	// stateless reset.
	staleAfter = 2 * time.Second
	// suspectAfter is staleAfter where the store owes bytes and has fallen silent.
	suspectAfter = 500 * time.Millisecond
	// knownDial bounds a handshake with a store whose round-trip time is known: that many
	// round trips beyond half a second.
	knownDialRTTs, knownDial = 6, 500 * time.Millisecond
)

// lane is one QUIC connection to a store, dialled when someone needs it and again,
// after a pause, when it broke.
type lane struct {
	p *Peer
	// writes says that the connection shows the client's certificate. Others show none,
	// and so may resume a session.
	writes bool
	load   atomic.Int64 // bytes asked for on it and not received

	mu      sync.Mutex
	qc      *quic.Conn
	h3      *http3.ClientConn
	dialing chan struct{} // closed when the dial under way ended; nil when none is
	err     error         // of the last dial
	fails   int           // dials in a row
	retryAt time.Duration
	blocked bool // TCP got through where QUIC did not
	closed  bool

	packets     uint64        // received, when last looked
	packetsSeen time.Duration // when that had moved
	suspect     bool          // its store fell silent; ends with a packet
	rtt         time.Duration // when last measured; 0: never
}

// quicConfig has receive windows that a long fat path does not exhaust, and a PING
// every second, which is also what keeps the round-trip time fresh.
func (c *Pool) quicConfig() *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           c.cfg.HandshakeTimeout,
		MaxIdleTimeout:                 c.cfg.IdleTimeout,
		KeepAlivePeriod:                time.Second,
		InitialStreamReceiveWindow:     4 << 20,
		MaxStreamReceiveWindow:         16 << 20,
		InitialConnectionReceiveWindow: 16 << 20,
		MaxConnectionReceiveWindow:     32 << 20,
		MaxIncomingStreams:             -1,
	}
}

// warm starts a dial if there is no connection, none is being made and the pause after
// the last failure is over.
func (l *lane) warm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.warmLocked()
}

func (l *lane) warmLocked() {
	now := l.p.c.Now()
	if l.closed || l.alive() && l.fresh(now) || l.dialing != nil || now < l.retryAt {
		return
	}
	done := make(chan struct{})
	if l.p.c.Spawn(func(ctx context.Context) { l.dial(ctx, done) }) {
		l.dialing = done
	}
}

// alive also forgets a connection that has ended; the lock is held.
func (l *lane) alive() bool {
	if l.qc != nil && l.qc.Context().Err() != nil {
		l.qc, l.h3 = nil, nil
	}
	return l.h3 != nil
}

// fresh reports whether a packet came lately; there is a connection and the lock is
// held.
func (l *lane) fresh(now time.Duration) bool {
	if n := l.qc.ConnectionStats().PacketsReceived; n != l.packets {
		l.packets, l.packetsSeen, l.suspect = n, now, false
	}
	limit := staleAfter
	if l.suspect {
		limit = suspectAfter
	}
	return now-l.packetsSeen < limit
}

// doubt has another connection dialled soon unless a packet comes.
func (l *lane) doubt(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alive() {
		l.fresh(now)
		l.suspect = true
	}
}

// conn returns the connection, waiting at most wait for one that is being made.
func (l *lane) conn(ctx context.Context, wait time.Duration) (*http3.ClientConn, error) {
	l.mu.Lock()
	l.warmLocked()
	if l.alive() && l.dialing == nil {
		defer l.mu.Unlock()
		return l.h3, nil
	}
	done, err := l.dialing, l.err
	if l.blocked {
		wait = 0
	}
	l.mu.Unlock()
	if done == nil {
		if err == nil {
			err = vstack.ErrClosed
		}
		return nil, fmt.Errorf("no QUIC connection to %s, pausing: %w", l.p.Addr, err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		return nil, fmt.Errorf("QUIC handshake with %s: %w after %v", l.p.Addr, vstack.ErrTimeout, wait)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alive() {
		return l.h3, nil
	}
	if l.err == nil {
		return nil, fmt.Errorf("QUIC connection to %s: %w", l.p.Addr, vstack.ErrUnavailable)
	}
	return nil, l.err
}

// dial makes one connection and wakes those who wait for it.
func (l *lane) dial(ctx context.Context, done chan struct{}) {
	qc, err := l.handshake(ctx)
	defer l.p.c.cfg.Changed()
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(done)
	l.dialing, l.err = nil, err
	now := l.p.c.Now()
	if err != nil {
		l.p.c.cfg.Dials.WithLabelValues("failed").Inc()
		pause := redialMax
		if l.blocked {
			pause = redialBlocked
		} else if l.fails < 8 {
			pause = min(redialMax, redialMin<<l.fails)
		}
		if l.rtt > 0 && l.fails < redialEager {
			pause = redialMin // it was here not long ago
		}
		l.fails++
		l.retryAt = now + pause
		l.p.c.cfg.Logger.Debug("QUIC dial", "store", l.p.ID, "addr", l.p.Addr, "error", err, "pause", pause)
		return
	}
	l.p.c.cfg.Dials.WithLabelValues("ok").Inc()
	if l.closed {
		l.err = vstack.ErrClosed
		hangUp(qc)
		return
	}
	l.fails, l.blocked = 0, false
	l.p.meter.connected()
	if l.qc != nil {
		hangUp(l.qc) // the stale one
	}
	l.packets, l.packetsSeen, l.suspect = 0, now, false
	l.qc, l.h3 = qc, l.p.c.h3.NewClientConn(qc)
}

func (l *lane) handshake(ctx context.Context) (*quic.Conn, error) {
	limit := l.p.c.cfg.HandshakeTimeout
	if rtt := l.knownRTT(); rtt > 0 {
		limit = min(limit, knownDial+knownDialRTTs*rtt)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tr, err := l.p.c.udpTransport()
	if err != nil {
		return nil, err
	}
	addr, host, err := resolve(ctx, l.p.Addr)
	if err != nil {
		return nil, err
	}
	conf := l.p.c.cfg.TLS.Clone()
	conf.NextProtos = []string{http3.NextProtoH3}
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	quicConf := l.p.c.quicConfig()
	if !l.writes {
		conf.Certificates, conf.GetClientCertificate = nil, nil
		known := l.p.c.cfg.Sessions.of(l.p.Addr)
		conf.ClientSessionCache, quicConf.TokenStore = known.tickets, known.tokens
	}
	// Not DialEarly: quic-go v0.65 lets a stream of the first flight read the peer's
	// parameters while the handshake replaces them, which is a data race.
	qc, err := tr.Dial(ctx, addr, conf, quicConf)
	var cert *tls.CertificateVerificationError
	switch {
	case err == nil:
		return qc, nil
	case errors.As(err, &cert):
		return nil, fmt.Errorf("QUIC handshake with %s: %w", l.p.Addr, cert)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("QUIC handshake with %s: %w after %v", l.p.Addr, vstack.ErrTimeout, limit)
	}
	return nil, fmt.Errorf("QUIC handshake with %s: %w", l.p.Addr, err)
}

func (l *lane) knownRTT() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rtt
}

// retire closes the connection; it is dialled again when someone needs it.
func (l *lane) retire() {
	l.mu.Lock()
	qc := l.qc
	l.qc, l.h3 = nil, nil
	l.mu.Unlock()
	if qc != nil {
		hangUp(qc)
	}
}

// tcpWorked notes that TCP got through; where QUIC has failed, UDP counts as blocked.
func (l *lane) tcpWorked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.alive() {
		l.blocked = true
	}
}

// close ends the connection for good, and with it the outcome of a dial under way.
func (l *lane) close() {
	l.mu.Lock()
	qc := l.qc
	l.qc, l.h3, l.closed = nil, nil, true
	l.mu.Unlock()
	if qc != nil {
		hangUp(qc)
	}
}

func hangUp(qc *quic.Conn) {
	// Its error would tell that the connection had ended before.
	_ = qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	<-qc.Context().Done()
}

// resolve turns HOST:PORT into an address, and HOST for the certificate's check.
func resolve(ctx context.Context, addr string) (*net.UDPAddr, string, error) {
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		return net.UDPAddrFromAddrPort(ap), ap.Addr().String(), nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", fmt.Errorf("store address %q: %w: %v", addr, vstack.ErrInvalid, err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return nil, "", fmt.Errorf("store address %q: resolve: %w", addr, err)
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, "", fmt.Errorf("store address %q: %w: %v", addr, vstack.ErrInvalid, err)
	}
	return &net.UDPAddr{IP: ips[0].AsSlice(), Port: n, Zone: ips[0].Zone()}, host, nil
}

// stands reports whether there is a connection.
func (l *lane) stands() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alive()
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
	if s.Measured {
		l.rtt = stats.SmoothedRTT
	}
	return stats.PacketsReceived
}
