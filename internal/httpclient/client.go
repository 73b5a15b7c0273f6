package httpclient

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Bounds of a Config that says nothing else.
const (
	DefaultDialTimeout   = 3 * time.Second
	DefaultHeaderTimeout = 30 * time.Second
	DefaultStallTimeout  = 30 * time.Second
	// expectTimeout is how long a body waits for leave to be sent: a refusal that crosses
	// it on the way is lost in a connection reset.
	expectTimeout = 2 * time.Second
	// maxAnswer bounds a JSON answer of a role.
	maxAnswer = 16 << 20
)

// Config says whom to trust and how long to wait. Zero times take the defaults above.
type Config struct {
	// TLS verifies the peers, and presents a certificate where one is asked for. Required.
	TLS *tls.Config
	// Network opens the connections. Default: the operating system.
	Network network.Network
	// DialTimeout bounds connecting; the TLS handshake may take twice as long.
	DialTimeout time.Duration
	// HeaderTimeout bounds the wait for an answer's header behind the request's last byte.
	HeaderTimeout time.Duration
	// StallTimeout bounds the time in which no byte of a body moves.
	StallTimeout time.Duration
	// IdleConns is how many connections to one address are kept; default 2.
	IdleConns int
}

// Client speaks HTTP/1.1. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	stall time.Duration
}

// New makes a client; it connects when first used.
func New(cfg Config) *Client {
	for d, to := range map[*time.Duration]time.Duration{
		&cfg.DialTimeout: DefaultDialTimeout, &cfg.HeaderTimeout: DefaultHeaderTimeout, &cfg.StallTimeout: DefaultStallTimeout,
	} {
		if *d <= 0 {
			*d = to
		}
	}
	dial := network.DialWithin(network.Or(cfg.Network, network.OS{}), cfg.DialTimeout)
	return &Client{stall: cfg.StallTimeout, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, proto, addr string) (net.Conn, error) {
			conn, err := dial(ctx, proto, addr)
			if err != nil {
				return nil, err
			}
			return &writer{Conn: conn, stall: cfg.StallTimeout}, nil
		},
		TLSClientConfig:       cfg.TLS,
		TLSHandshakeTimeout:   2 * cfg.DialTimeout,
		ResponseHeaderTimeout: cfg.HeaderTimeout,
		ExpectContinueTimeout: expectTimeout,
		MaxIdleConnsPerHost:   cfg.IdleConns,
		IdleConnTimeout:       90 * time.Second,
	}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a request and returns its answer, whatever its status. The caller closes the
// body.
func (c *Client) Do(req *http.Request) (*http.Response, error) { return c.bounded(req, c.http.Do) }

// RoundTrip makes the client a transport, for a proxy: it follows no redirect.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	return c.bounded(req, c.http.Transport.RoundTrip)
}

func (c *Client) bounded(req *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	out := req.WithContext(ctx)
	if tracing.ID(ctx) != "" {
		out.Header = req.Header.Clone() // it is the caller's
		tracing.Inject(ctx, out.Header)
	}
	resp, err := send(out)
	if err != nil {
		cancel(nil)
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() {
			return nil, fmt.Errorf("%w: %w", vstack.ErrTimeout, err)
		}
		return nil, fmt.Errorf("%w: %w", vstack.ErrUnavailable, err)
	}
	resp.Body = newBody(ctx, cancel, resp.Body, c.stall)
	return resp, nil
}

// JSON sends in, when there is one, as JSON, and reads out, when there is one. A refusal
// is wire.ReadError's.
func (c *Client) JSON(ctx context.Context, method, url string, in io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return wire.ReadError(resp)
	}
	if out == nil {
		return nil
	}
	return Decode(resp, out)
}

// Decode reads an answer's JSON.
func Decode(resp *http.Response, out any) error {
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s: %w", resp.Request.URL, err)
	}
	return nil
}
