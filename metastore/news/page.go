package news

import (
	"fmt"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
)

// Page answers what changed after req.Since, for a host that has what the rest of the request
// says: whole changes in index order, at least one, up to most. A placement map newer than the
// host's comes first, and alone: it says which groups the host should ask for. req.Since must
// not be after the feed's index.
func Page(v *catalog.View, req feed.Request, most feed.Bounds) (feed.Page, error) {
	page := feed.Page{Index: req.Since, At: v.FeedIndex(), Cluster: v.Cluster()}
	if !req.References && v.PlacementVersion() > req.Map {
		page.Placement, page.More = v.Placement(), true
		return page, nil
	}
	if keys := v.TokenKeys(); keys.Index > req.Since && !req.References {
		page.Keys = &keys
	}
	b := builder{req: req, page: &page, left: most}
	for c := range v.Changes(req.Since) {
		// All rows of one index go together, or a reader could see half a change.
		if c.Index > page.Index && b.full() {
			page.More = true
			return page, nil
		}
		page.Index = c.Index
		switch {
		case c.Upload == nil:
			if err := b.video(&c); err != nil {
				return page, fmt.Errorf("feed after %d: %w", req.Since, err)
			}
		case !req.References:
			page.Uploads = append(page.Uploads, feed.Bare(*c.Upload))
			b.left.Objects--
		}
	}
	page.Index = page.At
	return page, nil
}

// builder keeps what a page may still hold.
type builder struct {
	req  feed.Request
	page *feed.Page
	left feed.Bounds
}

func (b *builder) full() bool {
	return b.left.Objects <= 0 || b.left.References <= 0 || b.left.Slots <= 0
}

// video adds what the host does not know of a video: nothing, if only what people read of it
// has changed.
func (b *builder) video(c *catalog.Change) error {
	out := feed.Video{ID: c.Video.ID, State: c.Video.State, Changed: c.Index}
	switch {
	case c.Video.State == vstack.VideoUploading:
		// Of one that is not there yet a store only has to know that it is not for everybody,
		// before it has the first chunk: a video of which nothing lies anywhere says that.
		if out.Lies(&c.Video, nil); b.req.References || out.Access.Index <= b.req.Have {
			return nil
		}
		out.State = vstack.VideoPublished
	case out.Ended():
		if b.req.References {
			return nil
		}
	default:
		var m *vstack.Manifest
		var err error
		if c.Published > b.req.Have || c.Video.Class != vstack.ClassHot { // else nothing of it is needed
			if m, err = c.Manifest(); err != nil {
				return err
			}
		}
		out.Lies(&c.Video, m)
		if c.Published > b.req.Have {
			out.References = feed.Select(m, b.req.Groups)
			b.left.Slots -= c.Video.Chunks
		}
		if len(out.References) == 0 && (b.req.References || out.ClassIndex <= b.req.Have && out.Access.Index <= b.req.Have) {
			return nil
		}
	}
	b.left.Objects--
	b.left.References -= len(out.References)
	b.page.Videos = append(b.page.Videos, out)
	return nil
}
