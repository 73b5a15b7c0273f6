package metaclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// maxUploadPages bounds how far Uploads follows cursors.
const maxUploadPages = 100

// UploadFilter selects uploads; zero fields select all.
type UploadFilter struct {
	State        vstack.UploadState
	SourceSHA256 vstack.ChunkID
}

// OpenUpload creates a video and the first incarnation of its upload. ErrNotReady
// until placement is assigned.
func (c *Client) OpenUpload(ctx context.Context, req wire.OpenUploadRequest) (vstack.Upload, error) {
	var out vstack.Upload
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/uploads", body: req, out: &out, write: true})
	return out, err
}

// ResumeUpload issues a fresh incarnation to req.Owner and fences every earlier one.
// ErrUploadNotLive when the upload is published or aborted.
func (c *Client) ResumeUpload(ctx context.Context, id vstack.UploadID, req wire.ResumeUploadRequest) (vstack.Upload, error) {
	var out vstack.Upload
	_, err := c.do(ctx, call{method: http.MethodPost, path: uploadPath(id, "/resume"), body: req, out: &out, write: true})
	return out, err
}

// Upload gets one upload.
func (c *Client) Upload(ctx context.Context, id vstack.UploadID) (vstack.Upload, error) {
	var out vstack.Upload
	_, err := c.do(ctx, call{method: http.MethodGet, path: uploadPath(id, ""), out: &out})
	return out, err
}

// Uploads lists every upload that the filter selects, newest first.
func (c *Client) Uploads(ctx context.Context, f UploadFilter) ([]vstack.Upload, error) {
	q := url.Values{"limit": {"1000"}}
	if f.State != "" {
		q.Set("state", string(f.State))
	}
	if !f.SourceSHA256.IsZero() {
		q.Set("source_sha256", f.SourceSHA256.String())
	}
	var all []vstack.Upload
	for range maxUploadPages {
		var page wire.List[vstack.Upload]
		if _, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/uploads", query: q, out: &page}); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		q.Set("cursor", page.Next)
	}
	return nil, fmt.Errorf("list uploads: %w: more than %d; narrow the filter", vstack.ErrTooLarge, len(all))
}

// Publish makes the video playable, in one Raft entry. ErrFenced when a newer
// incarnation exists; a repeat of the same manifest answers the same.
func (c *Client) Publish(ctx context.Context, id vstack.UploadID, req wire.PublishRequest) (vstack.Video, error) {
	var out vstack.Video
	_, err := c.do(ctx, call{method: http.MethodPut, path: uploadPath(id, "/publish"), body: req, out: &out, write: true})
	return out, err
}

// AbortUpload ends an upload; its video is failed and never readable. The
// incarnation must be the current one, or 0 to abort whichever is current.
func (c *Client) AbortUpload(ctx context.Context, id vstack.UploadID, inc vstack.Incarnation) error {
	q := url.Values{}
	if inc != 0 {
		q.Set("incarnation", strconv.FormatUint(uint64(inc), 10))
	}
	_, err := c.do(ctx, call{method: http.MethodDelete, path: uploadPath(id, ""), query: q, write: true})
	return err
}

func uploadPath(id vstack.UploadID, rest string) string { return "/v1/uploads/" + id.String() + rest }
