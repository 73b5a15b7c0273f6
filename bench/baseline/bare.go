package baseline

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strconv"

	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/identity"
)

// bareSetup is the standard input of a bare server.
type bareSetup struct {
	TLS  string `json:"tls"`  // directory of the certificate
	Addr string `json:"addr"` // HOST:PORT, UDP and TCP
	Size int    `json:"size"` // bytes of the body
}

// Bare is the baseline of the read benchmarks: one chunk-sized body of random bytes,
// held in memory, answered by quic-go's http3.Server on UDP and net/http on TCP at the
// same address with nothing in between. It runs in a process of its own, as a host does.
type Bare struct {
	*process
	Addr string
}

// StartBare runs one on addr, with the identity of the lab's first host.
func (s Site) StartBare(addr string, size int) (*Bare, error) {
	p, err := start(s.Exe, partBare, bareSetup{TLS: filepath.Join(s.Lab.Hosts[0].Dir, "tls"), Addr: addr, Size: size})
	if err != nil {
		return nil, err
	}
	return &Bare{process: p, Addr: addr}, nil
}

// serveBare answers until ctx is done.
func serveBare(ctx context.Context, setup bareSetup, ready func()) error {
	id, err := identity.Load(setup.TLS)
	if err != nil {
		return err
	}
	addr, conf := setup.Addr, id.ServerTLS()
	body := make([]byte, setup.Size)
	if _, err := rand.Read(body); err != nil {
		return fmt.Errorf("fill body: %w", err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the client judges what arrived
	})
	tcp, err := tls.Listen("tcp", addr, conf)
	if err != nil {
		return fmt.Errorf("listen tcp %s: %w", addr, err)
	}
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen udp %s: %w", addr, err), tcp.Close())
	}
	h1 := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)} // strangers are aimed at it, too
	h3 := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(conf)}
	done := make(chan error, 2)
	go func() { done <- h1.Serve(tcp) }()
	go func() { done <- h3.Serve(udp) }()
	ready()
	var serveErr error
	select {
	case <-ctx.Done():
	case serveErr = <-done:
		done <- nil
	}
	closeErr := errors.Join(h1.Close(), h3.Close(), udp.Close())
	<-done
	<-done
	if serveErr != nil {
		return fmt.Errorf("serve %s: %w", addr, serveErr)
	}
	return closeErr
}
