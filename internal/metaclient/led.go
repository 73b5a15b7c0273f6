package metaclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Members lists the cluster's members, as one that has a leader knows them; the list of
// one without only if nobody has.
func (c *Client) Members(ctx context.Context) (wire.RaftMembers, error) {
	return led(ctx, c, "/v1/raft/members", func(m *wire.RaftMembers) (string, int) { return m.Leader, len(m.Items) })
}

// RaftStatus is the cluster as a member sees it that has a leader; as one without sees it
// only if nobody has. A process that was emptied, or removed, knows nothing of the rest.
func (c *Client) RaftStatus(ctx context.Context) (wire.RaftStatus, error) {
	return led(ctx, c, "/v1/raft/status", func(st *wire.RaftStatus) (leader string, worth int) {
		for _, p := range st.Peers {
			if p.Reached {
				worth++
			}
		}
		return st.Leader, worth
	})
}

// led asks one member after the other until one names a leader. If none does, the answer
// that is worth most is the answer.
func led[T any](ctx context.Context, c *Client, path string, look func(*T) (leader string, worth int)) (T, error) {
	var mu sync.Mutex // guards best and most: attempts may run at once
	var best *T
	most := -1
	k := call{method: http.MethodGet, path: path, local: true, once: true}
	k.judge = func(body []byte) error {
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			return fmt.Errorf("GET %s: decode answer: %w: %v", path, vstack.ErrInternal, err)
		}
		leader, worth := look(&v)
		mu.Lock()
		defer mu.Unlock()
		if leader != "" {
			worth += 1 << 20
		}
		if worth > most {
			best, most = &v, worth
		}
		if leader == "" {
			return fmt.Errorf("%w: the member that was asked has none", vstack.ErrNoLeader)
		}
		return nil
	}
	_, err := c.do(ctx, k)
	if best == nil && retryable(err) && ctx.Err() == nil { // nobody answers yet
		k.once = false
		_, err = c.do(ctx, k)
	}
	mu.Lock()
	defer mu.Unlock()
	if best != nil {
		return *best, nil
	}
	return *new(T), err
}
