package metaclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// feedHold is how long a member may hold a feed request.
const feedHold = 30 * time.Second

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

// Follow answers the feed by groups. A member of the first release knows no such form: its
// page of manifests is read the same way, and the map, which it would send when it is passed,
// is asked for by itself while the caller has none.
func (c *Client) Follow(ctx context.Context, req feed.Request) (feed.Page, error) {
	hold := req.Wait
	if hold < 0 {
		hold = feedHold
	}
	ans, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/feed", query: req.Query(), accept: feed.ContentType,
		limit: maxFeedBody, hold: hold, local: true})
	if err != nil {
		return feed.Page{}, err
	}
	if ans.form == feed.ContentType {
		page, err := feed.Decode(ans.body)
		if err != nil {
			return feed.Page{}, fmt.Errorf("GET /v1/feed: %w: %w", vstack.ErrInternal, err)
		}
		return page, nil
	}
	var old wire.FeedPage
	if err := json.Unmarshal(ans.body, &old); err != nil {
		return feed.Page{}, fmt.Errorf("GET /v1/feed: decode answer: %w: %v", vstack.ErrInternal, err)
	}
	if req.Map == 0 && !req.References {
		m, err := c.RefreshPlacement(ctx)
		if err != nil {
			return feed.Page{}, err
		}
		if m.Version > 0 {
			return feed.Page{Index: req.Since, More: true, Cluster: old.Cluster, Placement: m}, nil
		}
	}
	return feed.FromJSON(&old, req), nil
}

// Nodes lists the hosts with their stores' last reports.
func (c *Client) Nodes(ctx context.Context) ([]wire.Node, error) {
	var out wire.List[wire.Node]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/nodes", out: &out})
	return out.Items, err
}

// Levels says which feature level the cluster is at, and who knows which.
func (c *Client) Levels(ctx context.Context) (wire.LevelReport, error) {
	var out wire.LevelReport
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/raft/level", out: &out})
	return out, err
}

// Redundancy says how videos lie, where they go, and what may fail.
func (c *Client) Redundancy(ctx context.Context) (wire.Redundancy, error) {
	var out wire.Redundancy
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/redundancy", out: &out})
	return out, err
}

// Stats says the cluster in figures.
func (c *Client) Stats(ctx context.Context) (wire.Stats, error) {
	var out wire.Stats
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/stats", out: &out})
	return out, err
}

// SetRedundancy changes the policy, or pauses and resumes videos' moves; ErrTooFewTargets for
// a policy that the cluster cannot keep.
func (c *Client) SetRedundancy(ctx context.Context, req wire.RedundancyRequest) (wire.Redundancy, error) {
	var out wire.Redundancy
	_, err := c.do(ctx, call{method: http.MethodPut, path: "/v1/redundancy", body: req, out: &out, write: true})
	return out, err
}

// PlanRedundancy says what a policy would have done now; nil for the one in force.
func (c *Client) PlanRedundancy(ctx context.Context, p *vstack.RedundancyPolicy) (wire.RedundancyPlan, error) {
	q := url.Values{}
	if p != nil {
		for name, v := range map[string]any{"scheme": p.Layout.Scheme, "min_hosts_can_fail": p.HostsCanFail,
			"warm_above": p.WarmAbove, "cool_below": p.CoolBelow, "min_age": p.MinAge} {
			q.Set(name, fmt.Sprint(v))
		}
	}
	var out wire.RedundancyPlan
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/redundancy/plan", query: q, out: &out})
	return out, err
}

// RaiseLevel raises the cluster's feature level, for good; ErrLevelTooOld while somebody
// takes part who knows a lower one only.
func (c *Client) RaiseLevel(ctx context.Context, to vstack.Level) (wire.LevelReport, error) {
	var out wire.LevelReport
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/raft/level", body: wire.RaiseLevelRequest{Level: to}, out: &out, write: true})
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

// Order gives one order for some stores.
func (c *Client) Order(ctx context.Context, req wire.OrderRequest) (wire.OrderReply, error) {
	var out wire.OrderReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/stores/orders", body: req, out: &out, write: true})
	return out, err
}

// Orders lists stores that are cordoned or leave, and what that waits for.
func (c *Client) Orders(ctx context.Context) ([]wire.StandingOrder, error) {
	var out wire.List[wire.StandingOrder]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/stores/orders", out: &out})
	return out.Items, err
}

// OKToStop asks whether a host may be stopped now.
func (c *Client) OKToStop(ctx context.Context, host vstack.HostID) (wire.OKToStop, error) {
	var out wire.OKToStop
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/nodes/" + string(host) + "/ok-to-stop", out: &out})
	return out, err
}

// Balance says how the roles are shared out.
func (c *Client) Balance(ctx context.Context) (wire.BalanceReport, error) {
	var out wire.BalanceReport
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/balance", out: &out})
	return out, err
}

// SetBalance begins, ends or holds the sharing out of roles.
func (c *Client) SetBalance(ctx context.Context, to vstack.Balance) (wire.BalanceReport, error) {
	var out wire.BalanceReport
	_, err := c.do(ctx, call{method: http.MethodPut, path: "/v1/balance", body: wire.BalanceRequest{State: to}, out: &out, write: true})
	return out, err
}

// Events lists what happened after a Raft index, the oldest first.
func (c *Client) Events(ctx context.Context, since uint64, limit int) (wire.EventPage, error) {
	var out wire.EventPage
	q := url.Values{"since": {strconv.FormatUint(since, 10)}, "limit": {strconv.Itoa(limit)}}
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/events", query: q, out: &out})
	return out, err
}

// HeldGroups lists placement groups that take no writes for want of acceptors.
func (c *Client) HeldGroups(ctx context.Context) ([]wire.HeldGroup, error) {
	var out wire.List[wire.HeldGroup]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/groups/held", out: &out})
	return out.Items, err
}

// AcceptLoss gives up the votes that groups lost.
func (c *Client) AcceptLoss(ctx context.Context, req wire.AcceptLossRequest) (wire.AcceptLossReply, error) {
	var out wire.AcceptLossReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/groups/accept-loss", body: req, out: &out, write: true})
	return out, err
}
