package metaclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// ListOptions selects a page of videos, newest first.
type ListOptions struct {
	State  vstack.VideoState // empty: all but deleted
	Cursor string            // List.Next of the page before
	Limit  int               // 0: the server's default of 100; at most 1,000
	// Stale takes what the member that is asked knows: there need not be a leader.
	Stale bool
}

// Videos lists one page.
func (c *Client) Videos(ctx context.Context, opt ListOptions) (wire.List[vstack.Video], error) {
	q := url.Values{}
	if opt.State != "" {
		q.Set("state", string(opt.State))
	}
	if opt.Stale {
		q.Set("consistency", "stale")
	}
	if opt.Cursor != "" {
		q.Set("cursor", opt.Cursor)
	}
	if opt.Limit != 0 {
		q.Set("limit", strconv.Itoa(opt.Limit))
	}
	var out wire.List[vstack.Video]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/videos", query: q, out: &out})
	return out, err
}

// Video gets one video; ErrNotFound for an id that never was. A deleted video is
// answered with its state.
func (c *Client) Video(ctx context.Context, id vstack.VideoID) (vstack.Video, error) {
	var out vstack.Video
	_, err := c.do(ctx, call{method: http.MethodGet, path: videoPath(id, ""), out: &out})
	return out, err
}

// VideoStale gets what any member knows of a video.
func (c *Client) VideoStale(ctx context.Context, id vstack.VideoID) (vstack.Video, error) {
	var out vstack.Video
	_, err := c.do(ctx, call{method: http.MethodGet, path: videoPath(id, ""), query: url.Values{"consistency": {"stale"}}, out: &out})
	return out, err
}

// PatchVideo changes what the patch names.
func (c *Client) PatchVideo(ctx context.Context, id vstack.VideoID, patch wire.VideoPatch) (vstack.Video, error) {
	var out vstack.Video
	_, err := c.do(ctx, call{method: http.MethodPatch, path: videoPath(id, ""), body: patch, out: &out, write: true})
	return out, err
}

// DeleteVideo makes the video unreadable for ever; its id is never reused.
func (c *Client) DeleteVideo(ctx context.Context, id vstack.VideoID) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: videoPath(id, ""), write: true})
	return err
}

// SetClass sets the storage policy, and how the video is to lie when it cools.
func (c *Client) SetClass(ctx context.Context, id vstack.VideoID, req wire.ClassRequest) (vstack.Video, error) {
	var out vstack.Video
	_, err := c.do(ctx, call{method: http.MethodPut, path: videoPath(id, "/class"), body: req, out: &out, write: true})
	return out, err
}

// AddViews counts n views, 1 to 1,000, at most once. The member that takes them commits
// them within a second: if it dies before, they are lost. A retry after a lost answer
// goes to the same member, which knows the request.
func (c *Client) AddViews(ctx context.Context, id vstack.VideoID, n int64) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: videoPath(id, "/views"), body: wire.ViewsRequest{Count: n}, write: true, sticky: true})
	return err
}

// Manifest gets the manifest of a published video from any member.
func (c *Client) Manifest(ctx context.Context, id vstack.VideoID) (*vstack.Manifest, error) {
	var out vstack.Manifest
	if _, err := c.do(ctx, call{method: http.MethodGet, path: videoPath(id, "/manifest"), out: &out, limit: maxManifestBody}); err != nil {
		return nil, err
	}
	return &out, nil
}

// VideoPlacement says where each slot of a published video lives and what may fail.
func (c *Client) VideoPlacement(ctx context.Context, id vstack.VideoID) (wire.VideoPlacement, error) {
	var out wire.VideoPlacement
	_, err := c.do(ctx, call{method: http.MethodGet, path: videoPath(id, "/placement"), out: &out, limit: maxFeedBody})
	return out, err
}

func videoPath(id vstack.VideoID, rest string) string { return "/v1/videos/" + id.String() + rest }

// Keys are the public keys of playback tokens.
func (c *Client) Keys(ctx context.Context) (out wire.JWKS, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/v1/keys", out: &out})
	return out, err
}

// AddKey adds a public key.
func (c *Client) AddKey(ctx context.Context, req wire.TokenKeyRequest) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/keys", body: req, write: true})
	return err
}

// DropKey removes a key.
func (c *Client) DropKey(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/keys/" + url.PathEscape(id), write: true})
	return err
}

// RevokeKey takes their rights from the tokens that a key signed until now.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/keys/" + url.PathEscape(id) + "/revoke", body: wire.RevokeTokensRequest{}, write: true})
	return err
}
