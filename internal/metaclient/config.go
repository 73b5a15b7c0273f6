package metaclient

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
)

// maxEndpoints bounds the list that one call may go through.
const maxEndpoints = 64

// Config says where the metastore is and how patient the client is.
type Config struct {
	// Endpoints are HOST:PORT of metastore APIs, in the order to try them. Required.
	Endpoints []string
	// TLS verifies the members, and presents a certificate where writes are to be
	// made: identity.Identity.ClientTLS(). Required.
	TLS *tls.Config
	// Network opens the connections. Default: the operating system, with a probe of idle
	// connections every 5 s.
	Network network.Network
	// Logger gets one line a failed attempt at debug level. Default slog.Default().
	Logger *slog.Logger
	// Timeout bounds a call whose context has no deadline. Default 30 s.
	Timeout time.Duration
	// AttemptTimeout bounds one attempt at one endpoint, so that a hung member costs
	// this much and not the whole call. Default 5 s; long polls add their hold time.
	AttemptTimeout time.Duration
	// HedgeAfter is how long an attempt may go unanswered before the next endpoint is
	// asked as well. It should exceed the usual time of a write, and stay below what a
	// failover takes. Default 300 ms.
	HedgeAfter time.Duration
	// DialTimeout bounds connecting to one endpoint. Default 1 s.
	DialTimeout time.Duration
	// PlacementTTL is how long Placement answers from memory before it asks again
	// with the ETag. Default 1 s.
	PlacementTTL time.Duration
}

func (c *Config) withDefaults() {
	c.Network = network.Or(c.Network, network.OS{KeepAlive: 5 * time.Second})
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = 5 * time.Second
	}
	if c.HedgeAfter == 0 {
		c.HedgeAfter = 300 * time.Millisecond
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = time.Second
	}
	if c.PlacementTTL == 0 {
		c.PlacementTTL = time.Second
	}
}

// Validate reports the first field that cannot work.
func (c *Config) Validate() error {
	if len(c.Endpoints) == 0 || len(c.Endpoints) > maxEndpoints {
		return fmt.Errorf("metaclient: %d endpoints: %w: want 1 to %d", len(c.Endpoints), vstack.ErrInvalid, maxEndpoints)
	}
	for _, e := range c.Endpoints {
		if _, _, err := net.SplitHostPort(e); err != nil {
			return fmt.Errorf("metaclient: endpoint %q: %w: %v", e, vstack.ErrInvalid, err)
		}
	}
	if c.TLS == nil {
		return fmt.Errorf("metaclient: %w: TLS is required", vstack.ErrInvalid)
	}
	if c.Timeout < 0 || c.AttemptTimeout < 0 || c.HedgeAfter < 0 || c.DialTimeout < 0 || c.PlacementTTL < 0 {
		return fmt.Errorf("metaclient: %w: negative timeout", vstack.ErrInvalid)
	}
	return nil
}
