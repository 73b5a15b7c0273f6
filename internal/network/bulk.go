package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"
)

// DialBulkTLS is for http.Transport's DialTLSContext where bodies of megabytes are sent: TLS over
// n, whose records leave gathered, and which takes a body of bytes in memory as it is. The
// handshake is bounded by timeout, as the dial is.
func DialBulkTLS(n Network, conf *tls.Config, timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := DialWithin(n, timeout)
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conf := conf.Clone()
		if conf.ServerName == "" {
			if conf.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				_ = raw.Close()
				return nil, err
			}
		}
		conf.DynamicRecordSizingDisabled = true // it is for pages that are drawn while they come
		g := NewGather(raw)
		c := &bulk{Conn: tls.Client(g, conf), below: g}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("TLS handshake with %s: %w", addr, err)
		}
		return c, nil
	}
}

// bulk is a client's TLS connection whose writes are gathered.
type bulk struct {
	*tls.Conn
	below *Gather
}

func (c *bulk) Write(p []byte) (int, error) {
	c.below.Hold()
	n, err := c.Conn.Write(p)
	if ferr := c.below.Flush(); err == nil {
		err = ferr
	}
	return n, err
}

// ReadFrom sends what r has. A body that lies in memory, which net/http hands over as a
// LimitedReader of an io.WriterTo, goes to TLS at once and is not copied before.
func (c *bulk) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if from, ok := l.R.(io.WriterTo); ok {
			n, err := from.WriteTo(&atMost{c, l.N})
			l.N -= n
			return n, err
		}
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}

// atMost writes n bytes and no more.
type atMost struct {
	w io.Writer
	n int64
}

func (a *atMost) Write(p []byte) (int, error) {
	over := int64(len(p)) > a.n
	if over {
		p = p[:a.n]
	}
	n, err := a.w.Write(p)
	a.n -= int64(n)
	if err == nil && over {
		err = io.ErrShortWrite
	}
	return n, err
}
