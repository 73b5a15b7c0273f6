package metaclient

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Client calls the metastore. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client // short calls: HTTP/1.1, which costs both ends less
	held *http.Client // long polls: HTTP/2, whose pings find a member that stands still

	members   *directory
	preferred atomic.Pointer[string] // endpoint that answered last
	seen      atomic.Uint64          // highest Vstack-Index of any answer
	closed    atomic.Bool

	placementMu sync.Mutex // held across the request: one refresh at a time
	placement   *vstack.PlacementMap
	etag        string
	checked     time.Time
}

// New makes a client; it connects when first used.
func New(cfg Config) (*Client, error) {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 5 * time.Second}
	transport := func(http2 bool) *http.Transport {
		t := &http.Transport{
			DialContext:           dialer.DialContext,
			TLSClientConfig:       cfg.TLS.Clone(),
			TLSHandshakeTimeout:   2 * cfg.DialTimeout,
			MaxIdleConnsPerHost:   idleConns,
			IdleConnTimeout:       90 * time.Second,
			ExpectContinueTimeout: time.Second,
			Protocols:             new(http.Protocols),
			// A member that was paused or cut off must not be trusted for minutes because
			// its connection still looks open. A short call ends by its own timeout, and
			// its connection with it.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 2 * time.Second},
		}
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(http2)
		return t
	}
	c := &Client{cfg: cfg, http: &http.Client{Transport: transport(false)}, held: &http.Client{Transport: transport(true)}}
	c.members = newDirectory(cfg.Endpoints, c.askMembers)
	return c, nil
}

// idleConns is how many connections to one member are kept for the calls to come.
const idleConns = 32

// Close drops idle connections; calls made after it answer ErrClosed.
func (c *Client) Close() {
	c.closed.Store(true)
	c.members.close()
	c.http.CloseIdleConnections()
	c.held.CloseIdleConnections()
}

// Index is the highest catalog index that any answer carried.
func (c *Client) Index() uint64 { return c.seen.Load() }

func (c *Client) observe(index uint64) {
	for {
		old := c.seen.Load()
		if index <= old || c.seen.CompareAndSwap(old, index) {
			return
		}
	}
}
