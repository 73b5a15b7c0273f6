package metaclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// feedHold is how long a member may hold a feed request.
const feedHold = 30 * time.Second

// Placement answers the placement map. Within PlacementTTL it comes from memory;
// after that it is asked for again with its ETag, and while no member answers the
// last known map is answered: a stale map is harmless, datanodes fence by epoch.
// The map is shared: do not change it. It may not be Ready yet.
func (c *Client) Placement(ctx context.Context) (*vstack.PlacementMap, error) {
	c.placementMu.Lock()
	defer c.placementMu.Unlock()
	if c.placement.Ready() && time.Since(c.checked) < c.cfg.PlacementTTL {
		return c.placement, nil
	}
	return c.refreshPlacement(ctx)
}

// RefreshPlacement asks a member now, for a caller that was told EPOCH_STALE.
func (c *Client) RefreshPlacement(ctx context.Context) (*vstack.PlacementMap, error) {
	c.placementMu.Lock()
	defer c.placementMu.Unlock()
	return c.refreshPlacement(ctx)
}

func (c *Client) refreshPlacement(ctx context.Context) (*vstack.PlacementMap, error) {
	var m vstack.PlacementMap
	// With a map in hand one round over the members is enough.
	have := c.placement.Ready()
	ans, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/placement", out: &m, etag: c.etag, local: true, once: have})
	switch {
	case err != nil && have && ctx.Err() == nil:
		c.checked = time.Now()
		return c.placement, nil
	case err != nil:
		return nil, err
	case ans.status == http.StatusNotModified:
	case c.placement == nil || m.Version >= c.placement.Version:
		c.placement, c.etag = &m, ans.etag
	}
	c.checked = time.Now()
	return c.placement, nil
}

// Heartbeat reports one host's stores. It is not retried beyond one round over the
// members: the next one is a second away.
func (c *Client) Heartbeat(ctx context.Context, hb wire.Heartbeat) (wire.HeartbeatReply, error) {
	var out wire.HeartbeatReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/heartbeats", body: hb, out: &out, once: true})
	return out, err
}

// Feed answers what changed after since; with nothing to tell, the member holds the
// request for up to 30 s and then answers an empty page.
func (c *Client) Feed(ctx context.Context, since uint64) (wire.FeedPage, error) {
	q := url.Values{"since": {strconv.FormatUint(since, 10)}}
	var out wire.FeedPage
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/feed", query: q, out: &out, limit: maxFeedBody, hold: feedHold, local: true})
	return out, err
}

// Nodes lists the hosts with their stores' last reports.
func (c *Client) Nodes(ctx context.Context) ([]wire.Node, error) {
	var out wire.List[wire.Node]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/nodes", out: &out})
	return out.Items, err
}

// RaftStatus is the cluster as the member that answers sees it.
func (c *Client) RaftStatus(ctx context.Context) (wire.RaftStatus, error) {
	var out wire.RaftStatus
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/raft/status", out: &out, local: true})
	return out, err
}

// TransferLeader hands leadership to a member, or to any for an empty id.
func (c *Client) TransferLeader(ctx context.Context, to string) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/raft/transfer", body: wire.TransferRequest{To: to}, write: true})
	return err
}

// Ready answers nil once a member is ready to serve; each member is asked once.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/readyz", local: true, once: true})
	return err
}

// ActivateEpochs asks for prepared epochs to begin.
func (c *Client) ActivateEpochs(ctx context.Context, changes []wire.EpochChange) (wire.ActivateReply, error) {
	var out wire.ActivateReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/placement/activate", body: wire.ActivateRequest{Changes: changes}, out: &out, write: true})
	return out, err
}

// ReplaceStore has a store's roles moved to another, or with a zero id to those that
// spread best.
func (c *Client) ReplaceStore(ctx context.Context, id, with vstack.StoreID) (wire.ReplaceStoreReply, error) {
	var out wire.ReplaceStoreReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/stores/" + id.String() + "/replace", body: wire.ReplaceStoreRequest{With: with}, out: &out, write: true})
	return out, err
}
