package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/admission"
)

const (
	// udpBuffer is asked of the kernel for each direction: a burst of one chunk to
	// each of a few readers. The kernel may grant less (net.core.rmem_max).
	udpBuffer = 7 << 20
	// portTries bounds the search for a port that is free on TCP and on UDP.
	portTries = 32
)

// Endpoint is one store's pair of listeners.
type Endpoint struct {
	cfg   Config
	tcp   net.Listener
	udp   net.PacketConn
	quic  *quic.Transport
	early *quic.EarlyListener
	h3    *http3.Server
	h12   *http.Server
	tails *Tails
	conns *QUICConns
	shake sync.WaitGroup // of handshakes that are awaited

	closeOnce sync.Once
}

// Listen binds both listeners; Serve starts to answer.
func Listen(cfg Config) (*Endpoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Endpoint{cfg: cfg, tails: NewTails()}
	if err := e.bind(); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Addr, err)
	}
	e.tcp = admission.NewConns(cfg.MaxConns, cfg.MaxConnsPerIP).Listen(e.tcp)
	e.conns = NewQUICConns(cfg.MaxConns, cfg.MaxConnsPerIP, cfg.ProveAbove)
	// quic-go asks for large buffers itself, and warns when it gets less.
	if udp, ok := e.udp.(*net.UDPConn); ok {
		_, _ = udp.SetReadBuffer(udpBuffer), udp.SetWriteBuffer(udpBuffer)
	}
	key := quic.StatelessResetKey(cfg.ResetKey)
	e.quic = &quic.Transport{Conn: e.udp, StatelessResetKey: &key, ConnContext: e.conns.Begin, VerifySourceAddress: e.conns.Proves}
	var err error
	conf := quicConfig(cfg)
	conf.GetConfigForClient = func(info *quic.ClientInfo) (*quic.Config, error) {
		one := quicConfig(cfg)
		one.MaxIncomingStreams = e.conns.Streams(info.RemoteAddr, one.MaxIncomingStreams)
		return one, nil
	}
	if e.early, err = e.quic.ListenEarly(http3.ConfigureTLSConfig(cfg.TLS), conf); err != nil {
		e.Close()
		return nil, fmt.Errorf("listen on %s for QUIC: %w", cfg.Addr, err)
	}
	e.h3 = &http3.Server{
		Handler:        e.handler(""),
		MaxHeaderBytes: cfg.MaxHeader,
		IdleTimeout:    cfg.IdleTimeout,
		ConnContext:    e.connected,
		Logger:         slog.New(slog.DiscardHandler), // its debug lines describe peers' mistakes
	}
	_, port, _ := net.SplitHostPort(e.Addr())
	e.h12 = tcpServer(cfg, e.handler(`h3=":`+port+`"; ma=86400`))
	return e, nil
}

// connected is http3.Server's ConnContext.
func (e *Endpoint) connected(ctx context.Context, conn *quic.Conn) context.Context {
	e.conns.Handshaken(conn, &e.shake)
	return e.tails.Watch(ctx, conn)
}

// Drop closes the QUIC connections whose peers are gone. Those of TCP end with their next
// answer.
func (e *Endpoint) Drop(gone func(*tls.ConnectionState) error) { e.tails.drop(gone) }

// Addr is HOST:PORT of both listeners.
func (e *Endpoint) Addr() string { return e.tcp.Addr().String() }

// Serve answers until ctx ends or a listener breaks; then it says GOAWAY, lets the
// requests in flight finish within Grace, and closes everything.
func (e *Endpoint) Serve(ctx context.Context) error {
	var wg sync.WaitGroup
	broken := make(chan error, 2) // one a listener
	wg.Go(func() { broken <- e.h3.ServeListener(e.early) })
	wg.Go(func() { broken <- e.h12.ServeTLS(e.tcp, "", "") })
	quiet, stop := context.WithCancel(ctx)
	wg.Go(func() { e.tails.closeQuiet(quiet, e.cfg.IdleTimeout) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
		err = fmt.Errorf("serve %s: %w", e.Addr(), err)
	}
	stop()
	e.shutdown()
	wg.Wait()
	e.shake.Wait() // their connections are closed
	return err
}

// Close ends both listeners and every connection at once. Idempotent.
func (e *Endpoint) Close() error {
	var err error
	e.closeOnce.Do(func() {
		if e.h12 != nil {
			err = errors.Join(err, e.h12.Close(), e.h3.Close())
		}
		if e.early != nil {
			err = errors.Join(err, e.early.Close())
		}
		if e.quic != nil {
			err = errors.Join(err, e.quic.Close())
		}
		// Both may be closed already by their servers.
		_, _ = e.tcp.Close(), e.udp.Close()
	})
	return err
}

func (e *Endpoint) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Grace)
	defer cancel()
	_ = e.early.Close() // no new connections; those open live on
	var wg sync.WaitGroup
	// Idle clients may hold their connections for long: once nothing is in flight,
	// waiting for them serves nobody.
	idle, stop := context.WithCancel(ctx)
	wg.Go(func() { _ = e.h3.Shutdown(idle) })
	wg.Go(func() { _ = e.h12.Shutdown(idle) })
	e.cfg.Gate.drained(ctx)
	e.tails.Leave(ctx)
	stop()
	wg.Wait()
	if err := e.Close(); err != nil {
		e.cfg.Logger.Debug("close endpoint", "addr", e.Addr(), "error", err)
	}
	// Handlers whose connections were cut notice soon: every wait of theirs is bounded.
	last, cancelLast := context.WithTimeout(context.Background(), e.cfg.Grace)
	defer cancelLast()
	e.cfg.Gate.drained(last)
}

// bind takes the same port of TCP and UDP.
func (e *Endpoint) bind() error {
	host, port, err := net.SplitHostPort(e.cfg.Addr)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		tcp, err := e.cfg.Network.Listen(context.Background(), "tcp", e.cfg.Addr)
		if err != nil {
			return err
		}
		taken := strconv.Itoa(tcp.Addr().(*net.TCPAddr).Port)
		if e.udp, err = e.cfg.Network.ListenPacket(context.Background(), "udp", net.JoinHostPort(host, taken)); err == nil {
			e.tcp = tcp
			return nil
		}
		_ = tcp.Close()
		if port != "0" || try == portTries {
			return err
		}
	}
}

// quicConfig sizes flow control for PUTs of whole chunks: one fits the first window,
// and one of the largest still fits the last.
func quicConfig(cfg Config) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           cfg.HeaderTimeout,
		MaxIdleTimeout:                 30 * time.Second,
		InitialStreamReceiveWindow:     2<<20 + 256<<10,
		MaxStreamReceiveWindow:         10 << 20,
		InitialConnectionReceiveWindow: 6 << 20,
		MaxConnectionReceiveWindow:     24 << 20,
		MaxIncomingStreams:             int64(cfg.MaxStreams),
		MaxIncomingUniStreams:          8, // control and QPACK need three
		Allow0RTT:                      true,
	}
}

func tcpServer(cfg Config, h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           h,
		TLSConfig:         cfg.TLS.Clone(),
		Protocols:         &protocols,
		MaxHeaderBytes:    cfg.MaxHeader,
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ReadTimeout:       cfg.RequestTimeout,
		WriteTimeout:      cfg.RequestTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          cfg.MaxStreams,
			MaxReadFrameSize:              1 << 20,
			MaxReceiveBufferPerStream:     4 << 20,
			MaxReceiveBufferPerConnection: 12 << 20,
			SendPingTimeout:               30 * time.Second,
			PingTimeout:                   15 * time.Second,
		},
	}
}
