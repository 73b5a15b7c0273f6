package stranger

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Deaf is an HTTP/2 connection whose receive window is 0: the server may send headers, and
// not one byte of a body.
type Deaf struct {
	conn  net.Conn
	frame *http2.Framer
	addr  string
	done  chan struct{} // the reading has ended

	mu       sync.Mutex // guards the framer's writes, and below
	next     uint32
	answered int
	reset    int
}

// DialDeaf opens one. The TLS configuration is the client's; it is to be closed.
func DialDeaf(ctx context.Context, addr string, conf *tls.Config) (*Deaf, error) {
	conf = conf.Clone()
	conf.NextProtos = []string{"h2"}
	d := tls.Dialer{Config: conf}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return Greet(conn, addr)
}

// Greet makes one of a connection on which HTTP/2 was agreed; the connection is its own then.
func Greet(conn net.Conn, addr string) (*Deaf, error) {
	s := &Deaf{conn: conn, frame: http2.NewFramer(conn, conn), addr: addr, done: make(chan struct{}), next: 1}
	_, err := conn.Write([]byte(http2.ClientPreface))
	if err = errors.Join(err, s.frame.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})); err != nil {
		return nil, errors.Join(fmt.Errorf("greet %s: %w", addr, err), conn.Close())
	}
	go s.read()
	return s, nil
}

// Ask sends a GET of a path and waits for nothing.
func (s *Deaf) Ask(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", s.addr}, {":path", path}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	id := s.next
	s.next += 2
	return s.frame.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
}

// Answered is how many answers have begun, and how many the server has given up.
func (s *Deaf) Answered() (begun, reset int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered, s.reset
}

// Closed is closed when the server has ended the connection, or Close has.
func (s *Deaf) Closed() <-chan struct{} { return s.done }

// Close ends it.
func (s *Deaf) Close() error {
	err := s.conn.Close()
	<-s.done
	return err
}

// read is polite but for the windows: it answers pings and settings.
func (s *Deaf) read() {
	defer close(s.done)
	for {
		f, err := s.frame.ReadFrame()
		if err != nil {
			return
		}
		s.mu.Lock()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = s.frame.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = s.frame.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame:
			s.answered++
		case *http2.RSTStreamFrame:
			s.reset++
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}
