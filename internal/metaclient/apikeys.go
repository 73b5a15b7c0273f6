package metaclient

import (
	"context"
	"net/http"
	"net/url"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// CreateAPIKey makes an API key. It is asked once: a repeat would make another.
func (c *Client) CreateAPIKey(ctx context.Context, req wire.APIKeyRequest) (wire.APIKeyReply, error) {
	var out wire.APIKeyReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/apikeys", body: req, out: &out, write: true})
	return out, err
}

// APIKeys lists them, oldest first.
func (c *Client) APIKeys(ctx context.Context) ([]vstack.APIKey, error) {
	var out wire.List[vstack.APIKey]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/apikeys", out: &out})
	return out.Items, err
}

// DropAPIKey removes an API key.
func (c *Client) DropAPIKey(ctx context.Context, name string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/apikeys/" + url.PathEscape(name), write: true})
	return err
}

// UseAPIKey tells whose an API key is, and counts what it uploads: ErrUnauthenticated if it is not
// good, ErrQuota if it is for less.
func (c *Client) UseAPIKey(ctx context.Context, req wire.UseAPIKeyRequest) (vstack.APIKey, error) {
	var out vstack.APIKey
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/apikeys/use", body: req, out: &out, write: true})
	return out, err
}
