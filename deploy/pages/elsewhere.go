package pages

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
)

// gatewayTimeout bounds a question to a gateway: a page waits for it.
const gatewayTimeout = time.Second

// elsewhere asks the cluster's gateways which playbacks they were told of.
type elsewhere struct{ c *cluster.Cluster }

// Sessions asks all gateways; one that does not answer is left out.
func (e elsewhere) Sessions(ctx context.Context) []sessions.Summary {
	ctx, cancel := context.WithTimeout(ctx, gatewayTimeout)
	defer cancel()
	all := make([]sessions.Summary, len(e.c.Gateways()))
	var wg sync.WaitGroup
	for i, addr := range e.c.Gateways() {
		wg.Go(func() {
			var sum sessions.Summary
			if e.c.Get(ctx, addr, "/v1/sessions", &sum) == nil {
				all[i] = sum
			}
		})
	}
	wg.Wait()
	return all
}

// Session asks all gateways for one session; the newest answer is it.
func (e elsewhere) Session(ctx context.Context, id string) (sessions.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, gatewayTimeout)
	defer cancel()
	all := make([]sessions.Session, len(e.c.Gateways()))
	var wg sync.WaitGroup
	for i, addr := range e.c.Gateways() {
		wg.Go(func() {
			var s sessions.Session
			if e.c.Get(ctx, addr, "/v1/sessions/"+url.PathEscape(id), &s) == nil {
				all[i] = s
			}
		})
	}
	wg.Wait()
	var newest sessions.Session
	for _, s := range all {
		if s.Seen.After(newest.Seen) {
			newest = s
		}
	}
	if newest.ID == "" {
		return newest, fmt.Errorf("session: %w at any of %d gateways", vstack.ErrNotFound, len(all))
	}
	return newest, nil
}
