package cluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// began is the metric that tells when a process was started.
const began = "process_start_time_seconds "

// Began asks the role at addr when its process was started, in seconds since 1970. It
// tells one run of a host from the next.
func (c *Cluster) Began(ctx context.Context, addr string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("start of the process at %s: %w", addr, err)
	}
	resp, err := c.web.Do(req)
	if err != nil {
		return 0, fmt.Errorf("start of the process at %s: %w", addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, wire.ReadError(resp)
	}
	return parseBegan(addr, resp.Body)
}

func parseBegan(addr string, metrics io.Reader) (float64, error) {
	lines := bufio.NewScanner(io.LimitReader(metrics, maxAnswer))
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), began); ok {
			at, err := strconv.ParseFloat(text, 64)
			if err != nil || !(at > 0) || math.IsInf(at, 0) {
				return 0, fmt.Errorf("start of the process at %s: %.40q: %w: no time", addr, text, vstack.ErrInternal)
			}
			return at, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("start of the process at %s: %w: %w", addr, vstack.ErrUnavailable, err)
	}
	return 0, fmt.Errorf("start of the process at %s: %w: its metrics have no %s", addr, vstack.ErrNotFound, strings.TrimSpace(began))
}
