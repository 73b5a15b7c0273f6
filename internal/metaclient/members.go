package metaclient

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// refreshEvery bounds how often the members are asked for: members that lag behind a
	// change disagree about its version for a moment.
	refreshEvery   = 500 * time.Millisecond
	refreshTimeout = 3 * time.Second
)

// directory is where the members serve: first as configured, then as they say. It owns
// the goroutine that asks.
type directory struct {
	configured []string
	ask        func(ctx context.Context, endpoint string) (wire.RaftMembers, error)

	mu      sync.Mutex
	current []string // never changed in place
	version string
	asking  bool
	asked   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

func newDirectory(configured []string, ask func(context.Context, string) (wire.RaftMembers, error)) *directory {
	d := &directory{configured: slices.Clone(configured), current: slices.Clone(configured), ask: ask}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// endpoints are those to try; the caller must not change them.
func (d *directory) endpoints() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// heard takes the version that an answer carried, and asks that member for its list if
// it is another than ours.
func (d *directory) heard(version, endpoint string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if version == "" || version == d.version || d.asking || d.ctx.Err() != nil || time.Since(d.asked) < refreshEvery {
		return
	}
	d.asking, d.asked = true, time.Now()
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		ctx, cancel := context.WithTimeout(d.ctx, refreshTimeout)
		defer cancel()
		members, err := d.ask(ctx, endpoint)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asking = false
		if err == nil { // else the next answer tries again
			d.learn(members)
		}
	}()
}

// learn takes a list. Members that were configured keep their place, because a host's
// own comes first.
func (d *directory) learn(members wire.RaftMembers) {
	var apis []string
	for _, m := range members.Items {
		if _, _, err := net.SplitHostPort(m.API); err == nil && !slices.Contains(apis, m.API) && len(apis) < maxEndpoints {
			apis = append(apis, m.API)
		}
	}
	if len(apis) == 0 {
		return
	}
	var next []string
	for _, e := range d.configured {
		if slices.Contains(apis, e) {
			next = append(next, e)
		}
	}
	for _, e := range apis {
		if !slices.Contains(next, e) {
			next = append(next, e)
		}
	}
	d.current, d.version = next, members.Version
}

func (d *directory) close() {
	d.mu.Lock()
	d.cancel()
	d.mu.Unlock()
	d.wg.Wait()
}

// askMembers asks one endpoint for the list.
func (c *Client) askMembers(ctx context.Context, endpoint string) (wire.RaftMembers, error) {
	var out wire.RaftMembers
	k := call{method: http.MethodGet, path: "/v1/raft/members", out: &out, local: true}
	ans, err := c.attempt(ctx, k, endpoint, nil, "")
	if err != nil {
		return out, err
	}
	return out, decode(ans, k)
}

// AddMember has a process that waits for it become a member; the answer comes before it
// has caught up and votes.
func (c *Client) AddMember(ctx context.Context, id vstack.HostID, raft, api string) (wire.RaftPeer, error) {
	var out wire.RaftPeer
	_, err := c.do(ctx, call{method: http.MethodPost, path: peerPath(id), body: wire.AddPeerRequest{Raft: raft, API: api}, out: &out, write: true})
	return out, err
}

// RemoveMember takes a member out. force does it even if those that are left and answer
// are no majority.
func (c *Client) RemoveMember(ctx context.Context, id vstack.HostID, force bool) error {
	q := url.Values{}
	if force {
		q.Set("force", "true")
	}
	_, err := c.do(ctx, call{method: http.MethodDelete, path: peerPath(id), query: q, write: true})
	return err
}

func peerPath(id vstack.HostID) string { return fmt.Sprintf("/v1/raft/peers/%s", id) }
