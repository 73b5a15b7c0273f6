package metaclient

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/network"
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
	level     atomic.Uint32          // highest Vstack-Level of any answer
	closed    atomic.Bool

	placement placements
}

// New makes a client; it connects when first used.
func New(cfg Config) (*Client, error) {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dial := network.DialWithin(cfg.Network, cfg.DialTimeout)
	transport := func(http2 bool) *http.Transport {
		t := &http.Transport{
			DialContext:           dial,
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
	c.placement.close()
	c.http.CloseIdleConnections()
	c.held.CloseIdleConnections()
}

// Index is the highest catalog index that any answer carried.
func (c *Client) Index() uint64 { return c.seen.Load() }

// Level is the highest feature level that any answer carried: what the cluster's programs
// may write. Before the first answer it is vstack.LevelFirst.
func (c *Client) Level() vstack.Level { return vstack.Level(c.level.Load()).OrFirst() }

// raised notes the level of an answer; a cluster's level only rises.
func (c *Client) raised(level vstack.Level) {
	for {
		old := c.level.Load()
		if uint32(level) <= old || c.level.CompareAndSwap(old, uint32(level)) {
			return
		}
	}
}

func (c *Client) observe(index uint64) {
	for {
		old := c.seen.Load()
		if index <= old || c.seen.CompareAndSwap(old, index) {
			return
		}
	}
}
