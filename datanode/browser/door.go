package browser

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// PathRead is where a session is opened.
	PathRead = "/v1/read"
	// udpBuffer is asked of the kernel for each direction, as by the store's own listener.
	udpBuffer = 7 << 20
	// maxHeader bounds the header of a CONNECT.
	maxHeader = 8 << 10
)

// Door is one store's listener for browsers.
type Door struct {
	cfg     Config
	udp     net.PacketConn
	quic    *quic.Transport
	ln      *quic.Listener
	conns   *serve.QUICConns
	handler http.Handler
	tails   *serve.Tails
	reads   atomic.Int64   // in flight
	leaving chan struct{}  // closed when Serve ends
	wg      sync.WaitGroup // connections and their handshakes

	closeOnce sync.Once
}

// Listen binds the port; Serve starts to answer.
func Listen(cfg Config) (*Door, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &Door{cfg: cfg, tails: serve.NewTails(), leaving: make(chan struct{}), conns: serve.NewQUICConns(cfg.MaxConns, cfg.MaxConnsPerIP, cfg.ProveAbove)}
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.PathChunks+"{sha256}", cfg.Chunk)
	mux.Handle("GET "+wire.PathChunks+"{sha256}/fragments/{scheme}/{number}", cfg.Fragment)
	d.handler = cfg.Gate.Limit(mux)

	var err error
	if d.udp, err = cfg.Network.ListenPacket(context.Background(), "udp", cfg.Addr); err != nil {
		return nil, fmt.Errorf("listen for browsers on %s: %w", cfg.Addr, err)
	}
	if udp, ok := d.udp.(*net.UDPConn); ok {
		_, _ = udp.SetReadBuffer(udpBuffer), udp.SetWriteBuffer(udpBuffer) // the kernel may grant less
	}
	key := quic.StatelessResetKey(cfg.ResetKey)
	d.quic = &quic.Transport{Conn: d.udp, StatelessResetKey: &key, ConnContext: d.conns.Begin, VerifySourceAddress: d.conns.Proves}
	// No 0-RTT: a session has to be opened anyway.
	if d.ln, err = d.quic.Listen(http3.ConfigureTLSConfig(cfg.Certs.TLS()), d.quicConfig()); err != nil {
		_ = d.udp.Close()
		return nil, fmt.Errorf("listen for browsers on %s: %w", cfg.Addr, err)
	}
	return d, nil
}

// quicConfig grants little: requests have 52 bytes.
func (d *Door) quicConfig() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: d.cfg.OpenTimeout, MaxIdleTimeout: 30 * time.Second,
		InitialStreamReceiveWindow: 16 << 10, MaxStreamReceiveWindow: 64 << 10,
		InitialConnectionReceiveWindow: 64 << 10, MaxConnectionReceiveWindow: 256 << 10,
		MaxIncomingStreams:    int64(d.cfg.MaxStreams) + 1, // the session's own
		MaxIncomingUniStreams: 8, EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
	}
}

// Addr is HOST:PORT of the listener.
func (d *Door) Addr() string { return d.udp.LocalAddr().String() }

// Serve answers until ctx ends or the listener breaks; then reads in flight may finish and
// arrive within Grace, and everything is closed. It is called once.
func (d *Door) Serve(ctx context.Context) error {
	var err error
	for {
		var conn *quic.Conn
		if conn, err = d.ln.Accept(ctx); err != nil {
			break
		}
		d.conns.Handshaken(conn, &d.wg)
		d.wg.Go(func() { d.serve(conn) })
	}
	if ctx.Err() != nil {
		err = nil
	} else {
		err = fmt.Errorf("serve browsers on %s: %w", d.Addr(), err)
	}
	_ = d.ln.Close() // no new connections; those open live on
	grace, cancel := context.WithTimeout(context.Background(), d.cfg.Grace)
	d.drained(grace)
	close(d.leaving)
	d.tails.Leave(grace)
	cancel()
	if cerr := d.Close(); cerr != nil {
		d.cfg.Logger.Debug("close door for browsers", "addr", d.Addr(), "error", cerr)
	}
	d.wg.Wait()
	return err
}

// drained waits until no read is in flight, or ctx ends. It polls: only a shutdown asks.
func (d *Door) drained(ctx context.Context) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for d.reads.Load() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the listener and every session at once. Idempotent.
func (d *Door) Close() error {
	var err error
	d.closeOnce.Do(func() {
		err = errors.Join(d.ln.Close(), d.quic.Close())
		_ = d.udp.Close() // the transport may have
	})
	return err
}
