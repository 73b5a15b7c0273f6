package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
)

// Bounds of the listeners.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10
	maxConns      = 4096
	closeGrace    = 3 * time.Second
	// reloadEvery is how often a public certificate's file is looked at.
	reloadEvery = time.Minute
)

// Listeners is where a Server listens.
type Listeners struct {
	// Addr is HOST:PORT for TLS, under TLS or Certificate. Required.
	Addr string
	// TLS is the cluster's identity as a server; used unless Certificate is set.
	TLS *tls.Config
	// Certificate and Key are PEM files of a certificate that browsers trust. They are
	// read again when they change.
	Certificate, Key string
	// Plain is a loopback HOST:PORT without TLS, for a proxy on this machine that speaks
	// TLS itself; empty for none.
	Plain string
	// Consensus is HOST:PORT, under the same certificate as Addr, of the consensus page
	// alone; empty for none.
	Consensus string
	// Network opens the listeners. Default: the operating system.
	Network network.Network
}

// Server is the role gateway: a Gateway with its listeners.
type Server struct {
	gateway *Gateway
	log     *slog.Logger
	servers []*http.Server
	serve   []func() error
	addrs   []string

	listeners []net.Listener

	once sync.Once
	err  error
}

// Open makes the gateway and binds its listeners; Run serves.
func Open(ctx context.Context, cfg Config, at Listeners) (*Server, error) {
	conf, err := at.tls()
	if err != nil {
		return nil, fmt.Errorf("open gateway: %w", err)
	}
	g, err := New(cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{gateway: g, log: g.cfg.Logger}
	if err := s.listen(ctx, at, conf); err != nil {
		return nil, errors.Join(fmt.Errorf("open gateway: %w", err), s.Close())
	}
	s.log.Info("gateway opened", "addrs", s.addrs)
	return s, nil
}

func (s *Server) listen(ctx context.Context, at Listeners, conf *tls.Config) error {
	sockets := network.Or(at.Network, network.OS{})
	ln, err := sockets.Listen(ctx, "tcp", at.Addr)
	if err != nil {
		return err
	}
	s.add(shared(ln), conf, s.gateway.Handler())
	if at.Consensus != "" {
		if ln, err = sockets.Listen(ctx, "tcp", at.Consensus); err != nil {
			return err
		}
		s.add(shared(ln), conf, s.gateway.consensusAlone())
	}
	if at.Plain == "" {
		return nil
	}
	if host, _, err := net.SplitHostPort(at.Plain); err != nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("plain listener %q: %w: want a loopback address", at.Plain, vstack.ErrInvalid)
	}
	if ln, err = sockets.Listen(ctx, "tcp", at.Plain); err != nil {
		return err
	}
	s.add(admission.NewConns(maxConns, maxConns).Listen(ln), nil, s.gateway.Handler()) // of a proxy, which speaks for many
	return nil
}

// shared bounds the connections of a listener, and those of one address.
func shared(ln net.Listener) net.Listener { return admission.NewConns(maxConns, maxConns/8).Listen(ln) }

func (s *Server) add(ln net.Listener, conf *tls.Config, handler http.Handler) {
	if conf != nil {
		conf = conf.Clone() // http.Server writes into it
	}
	srv := &http.Server{
		Handler: watch.Carry(s.gateway.cfg.Tracer.Handler(s.log, handler)), TLSConfig: conf, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.servers, s.addrs, s.listeners = append(s.servers, srv), append(s.addrs, ln.Addr().String()), append(s.listeners, ln)
	s.serve = append(s.serve, func() error {
		if conf == nil {
			return srv.Serve(ln)
		}
		return srv.ServeTLS(ln, "", "")
	})
}

// Addrs are the addresses that the server listens on, that of TLS first.
func (s *Server) Addrs() []string { return s.addrs }

// Run serves until ctx ends or Close is called.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() }) // Close is called again below and gives its error
	defer stop()
	ended := make(chan error, len(s.serve))
	for _, serve := range s.serve {
		go func() { ended <- serve() }()
	}
	err := <-ended
	err = errors.Join(ignoreClosed(err), s.Close())
	for range len(s.serve) - 1 {
		err = errors.Join(err, ignoreClosed(<-ended))
	}
	if err != nil {
		return fmt.Errorf("run gateway: %w", err)
	}
	return nil
}

// Close lets bodies finish for a moment, then ends everything. Idempotent.
func (s *Server) Close() error {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		s.gateway.Stop()
		for _, srv := range s.servers {
			if srv.Shutdown(ctx) != nil {
				s.err = errors.Join(s.err, ignoreClosed(srv.Close()))
			}
		}
		for _, ln := range s.listeners {
			_ = ln.Close() // Shutdown has closed it, if it was ever served
		}
		s.err = errors.Join(s.err, s.gateway.Close())
	})
	return s.err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// tls is what the listener shows: the public certificate, or the cluster's.
func (l Listeners) tls() (*tls.Config, error) {
	if l.Certificate == "" && l.Key == "" {
		if l.TLS == nil {
			return nil, fmt.Errorf("%w: neither an identity nor a certificate", vstack.ErrInvalid)
		}
		return l.TLS, nil
	}
	files := &certificate{cert: l.Certificate, key: l.Key}
	if _, err := files.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get, NextProtos: []string{"h2", "http/1.1"}}, nil
}

// certificate is a pair of PEM files that may be renewed while they are in use.
type certificate struct {
	cert, key string

	mu      sync.Mutex
	current *tls.Certificate
	looked  time.Time
	changed time.Time // of the certificate's file
}

// get returns the newest certificate that could be read: one that is half written does
// not end the service.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.looked) < reloadEvery {
		return c.current, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.cert)
	if err == nil && c.current != nil && info.ModTime().Equal(c.changed) {
		return c.current, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.cert, c.key)
	}
	if err != nil {
		if c.current != nil {
			return c.current, nil
		}
		return nil, fmt.Errorf("gateway certificate: %w", err)
	}
	c.current, c.changed = &pair, info.ModTime()
	return c.current, nil
}
