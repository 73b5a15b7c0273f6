package metaclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
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
	// backoffEager bounds the pause between rounds over the endpoints while an election
	// may be under way, which takes about half a second; backoffMax after eagerFor.
	backoffEager = 100 * time.Millisecond
	backoffMax   = time.Second
	eagerFor     = 3 * time.Second
	// maxRacing bounds the attempts of one call that run at once.
	maxRacing = 3
	// slowBody is the size from which sending the body may take longer than HedgeAfter
	// by itself.
	slowBody = 256 << 10
)

// call is one request, before its attempts.
type call struct {
	method, path string
	query        url.Values
	body, out    any // out nil: the answer's body is drained and dropped
	write        bool
	etag         string // If-None-Match
	accept       string // a form other than JSON, which the caller decodes; out is nil
	limit        int64  // of the answer's body; 0 = maxBody
	hold         time.Duration
	local        bool                    // answered by any member at any index: no min_index
	once         bool                    // one attempt at each endpoint
	judge        func(body []byte) error // of an answer; a retryable error has the next member asked
	sticky       bool                    // only the member that may have taken it knows whether it has
}

// answer is what a successful attempt leaves.
type answer struct {
	status int
	etag   string
	form   string // Content-Type
	body   []byte
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
	r := c.newRace(ctx, k, payload, requestID)
	defer r.end()
	ans, err := r.run()
	if err != nil {
		return answer{}, err
	}
	return ans, decode(ans, k)
}

// attempt asks one endpoint, once more where the connection was of a certificate that has
// been renewed since and then revoked.
func (c *Client) attempt(ctx context.Context, k call, endpoint string, payload []byte, requestID string) (answer, error) {
	ans, err := c.ask(ctx, k, endpoint, payload, requestID)
	if errors.Is(err, vstack.ErrRevoked) {
		c.http.CloseIdleConnections()
		c.held.CloseIdleConnections()
		ans, err = c.ask(ctx, k, endpoint, payload, requestID)
	}
	return ans, err
}

// ask asks one endpoint once.
func (c *Client) ask(ctx context.Context, k call, endpoint string, payload []byte, requestID string) (ans answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AttemptTimeout+k.hold)
	defer cancel()
	ctx, span := tracing.Start(ctx, k.method+" at the metastore", attribute.String("url.path", k.path), attribute.String("server.address", endpoint))
	defer func() { tracing.End(span, err) }()
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
	tracing.Inject(ctx, req.Header)
	req.Header.Set(wire.HeaderLevel, strconv.FormatUint(uint64(vstack.NewestLevel), 10))
	if token := watch.In(ctx); token != "" {
		req.Header.Set(watch.Header, token)
	}
	if k.etag != "" {
		req.Header.Set("If-None-Match", k.etag)
	}
	if k.accept != "" {
		req.Header.Set("Accept", k.accept+", application/json;q=0.5")
	}
	client := c.http
	if k.hold > 0 {
		client = c.held
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, &unreachable{err}
	}
	defer resp.Body.Close()
	c.members.heard(resp.Header.Get(wire.HeaderMembers), endpoint)
	if resp.StatusCode >= http.StatusBadRequest {
		return answer{}, wire.ReadError(resp)
	}
	ans = answer{status: resp.StatusCode, etag: resp.Header.Get("ETag"), form: resp.Header.Get("Content-Type")}
	if ans.body, err = readBody(resp, k); err != nil {
		return answer{}, err
	}
	if index, err := strconv.ParseUint(resp.Header.Get(wire.HeaderIndex), 10, 64); err == nil {
		c.observe(index)
	}
	if level, err := strconv.ParseUint(resp.Header.Get(wire.HeaderLevel), 10, 32); err == nil {
		c.raised(vstack.Level(level))
	}
	if k.judge != nil {
		if err := k.judge(ans.body); err != nil {
			return answer{}, err
		}
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

// readBody reads a bounded body.
func readBody(resp *http.Response, k call) ([]byte, error) {
	limit := k.limit
	if limit == 0 {
		limit = maxBody
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, &unreachable{fmt.Errorf("read body: %w", err)}
	}
	if len(body) == 0 && (k.out != nil || k.accept != "") && resp.StatusCode == http.StatusOK {
		// What a server says whose handler gave up, because it ends or this client left.
		return nil, &unreachable{fmt.Errorf("read body: %w", io.ErrUnexpectedEOF)}
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("answer body: %w: more than %d bytes", vstack.ErrTooLarge, limit)
	}
	return body, nil
}

// decode reads the answer into k.out.
func decode(ans answer, k call) error {
	if k.out == nil || ans.status == http.StatusNotModified || ans.status == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(ans.body, k.out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w: %v", k.method, k.path, vstack.ErrInternal, err)
	}
	return nil
}

// unreachable marks an attempt that got no whole answer.
type unreachable struct{ err error }

func (u *unreachable) Error() string   { return u.err.Error() }
func (u *unreachable) Unwrap() []error { return []error{vstack.ErrUnavailable, u.err} }

// Passes reports whether an error is of a moment, such as an election that takes long: who
// waits for something goes on asking.
func Passes(err error) bool { return retryable(err) }

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
