package metaclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const snapshotPath = "/v1/raft/snapshot"

// SaveSnapshot writes a backup of the catalog to w, as it comes: hold it to its checksums
// before trusting it. By default the leader is asked; with a member's id that member, for
// whatever it has. The context bounds the whole of it.
func (c *Client) SaveSnapshot(ctx context.Context, w io.Writer, member string) error {
	endpoint, err := c.apiOf(ctx, member)
	if err != nil {
		return fmt.Errorf("save the catalog: %w", err)
	}
	query := ""
	if member != "" {
		query = "?consistency=stale"
	}
	resp, err := c.stream(ctx, http.MethodGet, endpoint, query, nil, 0)
	if err != nil {
		return fmt.Errorf("save the catalog: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("save the catalog: %w: %w", vstack.ErrUnavailable, err)
	}
	return nil
}

// RestoreSnapshot has the leader take size bytes of a backup as the catalog. It is tried
// once: an answer OUTCOME_UNKNOWN is cleared up by looking.
func (c *Client) RestoreSnapshot(ctx context.Context, r io.Reader, size int64) (wire.RestoreReply, error) {
	var out wire.RestoreReply
	endpoint, err := c.apiOf(ctx, "")
	if err != nil {
		return out, fmt.Errorf("restore a backup: %w", err)
	}
	resp, err := c.stream(ctx, http.MethodPut, endpoint, "", r, size)
	if err != nil {
		return out, fmt.Errorf("restore a backup: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&out); err != nil {
		return out, fmt.Errorf("restore a backup: read the answer: %w: %v", vstack.ErrOutcomeUnknown, err)
	}
	return out, nil
}

// apiOf is where a member serves; the leader for an empty id.
func (c *Client) apiOf(ctx context.Context, member string) (string, error) {
	list, err := c.Members(ctx)
	if err != nil {
		return "", err
	}
	want := member
	if want == "" {
		want = list.Leader
	}
	for _, m := range list.Items {
		if m.ID == want {
			return m.API, nil
		}
	}
	if member == "" {
		return "", vstack.ErrNoLeader
	}
	return "", fmt.Errorf("member %q: %w", member, vstack.ErrNotFound)
}

// stream sends one request whose bodies have no bound but the context.
func (c *Client) stream(ctx context.Context, method, endpoint, query string, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+endpoint+snapshotPath+query, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", vstack.ErrInvalid, err)
	}
	if body != nil {
		req.ContentLength = size
		req.Header.Set("Expect", "100-continue") // a refusal comes before the bytes go
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &unreachable{err}
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, wire.ReadError(resp)
	}
	return resp, nil
}
