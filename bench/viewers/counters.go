package viewers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// counters are the gateway's own, in bytes.
type counters struct{ stored, sent float64 }

func (g *gateway) counters(ctx context.Context, client *http.Client) (c counters, err error) {
	var body strings.Builder
	if _, err := get(ctx, client, "https://"+g.addr+"/metrics", &body); err != nil {
		return c, err
	}
	found := 0
	for line := range strings.Lines(body.String()) {
		for name, to := range map[string]*float64{"vstack_gateway_stores_received_bytes_total ": &c.stored, "vstack_gateway_viewers_sent_bytes_total ": &c.sent} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				if *to, err = strconv.ParseFloat(strings.TrimSpace(rest), 64); err != nil {
					return c, fmt.Errorf("metrics: %w", err)
				}
				found++
			}
		}
	}
	if found != 2 {
		return c, fmt.Errorf("metrics of the gateway: %w: %d of 2 counters", vstack.ErrNotFound, found)
	}
	return c, nil
}

// shared is bytes from stores ÷ bytes to viewers since then.
func (c counters) shared(since counters) float64 {
	return (c.stored - since.stored) / (c.sent - since.sent)
}
