package metaclient

import (
	"context"
	"net/http"
	"net/url"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Revocations is the list of certificates that are good no more, of any member.
func (c *Client) Revocations(ctx context.Context) (out wire.Revocations, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/v1/revocations", query: url.Values{"consistency": {"stale"}}, out: &out})
	return out, err
}

// Revoke takes certificates their rights.
func (c *Client) Revoke(ctx context.Context, req wire.RevokeRequest) (out vstack.Revocation, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/revocations", body: req, out: &out, write: true})
	return out, err
}

// Restore takes a revocation back: its Key.
func (c *Client) Restore(ctx context.Context, key string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/revocations/" + url.PathEscape(key), write: true})
	return err
}
