package metaclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Bodies larger than these are refused, whatever a member sends.
const (
	maxBody         = 8 << 20
	maxManifestBody = 32 << 20
	maxFeedBody     = 128 << 20
)

const (
	backoffFirst = 25 * time.Millisecond
	backoffMax   = time.Second
)

// call is one request, before its attempts.
type call struct {
	method, path string
	query        url.Values
	body, out    any // out nil: the answer's body is drained and dropped
	write        bool
	etag         string // If-None-Match
	limit        int64  // of the answer's body; 0 = maxBody
	hold         time.Duration
	local        bool // answered by any member at any index: no min_index
	once         bool // one attempt at each endpoint
}

// answer is what a successful attempt leaves besides call.out.
type answer struct {
	status int
	etag   string
}

// do runs the attempts of a call.
func (c *Client) do(ctx context.Context, k call) (answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.Timeout+k.hold)
		defer cancel()
	}
	var payload []byte
	if k.body != nil {
		var err error
		if payload, err = json.Marshal(k.body); err != nil {
			return answer{}, fmt.Errorf("encode body of %s %s: %w", k.method, k.path, err)
		}
	}
	requestID := ""
	if k.write {
		requestID = uuid.NewString()
	}
	start := c.preferred.Load()
	n := int64(len(c.cfg.Endpoints))
	backoff := backoffFirst
	var last error
	for i := int64(0); ; i++ {
		if c.closed.Load() {
			return answer{}, fmt.Errorf("%s %s: %w", k.method, k.path, vstack.ErrClosed)
		}
		which := (start + i) % n
		ans, err := c.attempt(ctx, k, c.cfg.Endpoints[which], payload, requestID)
		if err == nil {
			c.preferred.Store(which)
			return ans, nil
		}
		if !retryable(err) {
			return answer{}, fmt.Errorf("%s %s: %w", k.method, k.path, err)
		}
		c.cfg.Logger.Debug("metastore attempt", "method", k.method, "path", k.path, "endpoint", c.cfg.Endpoints[which], "err", err)
		if ctx.Err() == nil || last == nil {
			last = err // keep the reason rather than the cut-off of the final attempt
		}
		if ctx.Err() != nil || (k.once && i == n-1) {
			return answer{}, giveUp(ctx, k, last)
		}
		if i%n != n-1 {
			continue // the next endpoint may know better: ask it at once
		}
		if !sleep(ctx, backoff/2+rand.N(backoff)) {
			return answer{}, giveUp(ctx, k, last)
		}
		backoff = min(2*backoff, backoffMax)
	}
}

// attempt asks one endpoint once.
func (c *Client) attempt(ctx context.Context, k call, endpoint string, payload []byte, requestID string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AttemptTimeout+k.hold)
	defer cancel()
	u := url.URL{Scheme: "https", Host: endpoint, Path: k.path, RawQuery: c.query(k)}
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), bytes.NewReader(payload))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if requestID != "" {
		req.Header.Set(wire.HeaderRequestID, requestID)
	}
	if k.etag != "" {
		req.Header.Set("If-None-Match", k.etag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, &unreachable{err}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return answer{}, wire.ReadError(resp)
	}
	ans := answer{status: resp.StatusCode, etag: resp.Header.Get("ETag")}
	if err := decode(resp, k); err != nil {
		return answer{}, err
	}
	if index, err := strconv.ParseUint(resp.Header.Get(wire.HeaderIndex), 10, 64); err == nil {
		c.observe(index)
	}
	return ans, nil
}

func (c *Client) query(k call) string {
	q := url.Values{}
	for name, values := range k.query {
		q[name] = values
	}
	if seen := c.seen.Load(); seen > 0 && !k.write && !k.local && k.method == http.MethodGet {
		q.Set("min_index", strconv.FormatUint(seen, 10))
	}
	return q.Encode()
}

// decode reads a bounded body into k.out.
func decode(resp *http.Response, k call) error {
	limit := k.limit
	if limit == 0 {
		limit = maxBody
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return &unreachable{fmt.Errorf("read body: %w", err)}
	}
	if int64(len(body)) > limit {
		return fmt.Errorf("answer body: %w: more than %d bytes", vstack.ErrTooLarge, limit)
	}
	if k.out == nil || resp.StatusCode == http.StatusNotModified || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(body, k.out); err != nil {
		return fmt.Errorf("decode answer: %w: %v", vstack.ErrInternal, err)
	}
	return nil
}

// unreachable marks an attempt that got no whole answer.
type unreachable struct{ err error }

func (u *unreachable) Error() string   { return u.err.Error() }
func (u *unreachable) Unwrap() []error { return []error{vstack.ErrUnavailable, u.err} }

// retryable reports whether another attempt, perhaps elsewhere, may do better.
func retryable(err error) bool {
	var u *unreachable
	if errors.As(err, &u) {
		return true
	}
	switch vstack.SentinelOf(err) {
	case vstack.ErrNoLeader, vstack.ErrOutcomeUnknown, vstack.ErrUnavailable, vstack.ErrTimeout,
		vstack.ErrClosed, vstack.ErrCatalogLagging:
		return true
	}
	return false
}

// giveUp names what the caller should branch on: the caller's own cancellation, no
// leader, or a timeout.
func giveUp(ctx context.Context, k call, last error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s %s: %w", k.method, k.path, ctx.Err())
	}
	if errors.Is(last, vstack.ErrNoLeader) || k.once {
		return fmt.Errorf("%s %s: %w", k.method, k.path, last)
	}
	return fmt.Errorf("%s %s: no endpoint answered in time: %w (last: %w)", k.method, k.path, vstack.ErrTimeout, last)
}

// sleep waits d or until ctx ends, and reports whether it was d.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
