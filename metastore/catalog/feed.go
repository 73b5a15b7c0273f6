package catalog

import (
	"fmt"
	"iter"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// A page of the feed holds about this many objects and chunk references, and always
// at least one change.
const (
	feedObjects = 500
	feedChunks  = 20000
)

// Feed answers what changed after since: whole changes in index order, up to a page.
// An empty page means that nothing did.
func (v *View) Feed(since uint64) (wire.FeedPage, error) {
	page := wire.FeedPage{Index: since, Cluster: v.meta.Cluster, End: v.meta.Feed}
	if since >= v.meta.Feed {
		return page, nil
	}
	videos := v.changes(rows.TableVideos, since+1)
	uploads := v.changes(rows.TableUploads, since+1)
	objects, chunks := 0, 0
	video, upload := videos(), uploads()
	for video != nil || upload != nil {
		// All rows of one index go together, or a reader could see half a change.
		at := min(changedAt(video), changedAt(upload))
		if objects >= feedObjects || chunks >= feedChunks {
			page.More = true
			break
		}
		for ; video != nil && changedAt(video) == at; video = videos() {
			r := video.(*rows.Video)
			m, err := v.manifest(r)
			if err != nil {
				return page, fmt.Errorf("feed after %d: %w", since, err)
			}
			page.Videos = append(page.Videos, wire.FeedVideo{Video: rows.WithViews(v.txn, v.meta, r), Manifest: m})
			objects++
			chunks += r.Video.Chunks
		}
		for ; upload != nil && changedAt(upload) == at; upload = uploads() {
			page.Uploads = append(page.Uploads, upload.(*rows.Upload).Upload)
			objects++
		}
		page.Index = at
	}
	if !page.More {
		page.Index = v.meta.Feed
	}
	if v.meta.TokenKeys.Index > since {
		page.Keys = &v.meta.TokenKeys
	}
	// The map comes in the page that passes its last change.
	if v.meta.Placement > since && v.meta.Placement <= page.Index {
		page.Placement = v.Placement()
	}
	return page, nil
}

// Pressing reports whether the feed after since has more than edits of videos: an upload
// or the placement, which stores and uploaders wait for.
func (v *View) Pressing(since uint64) bool {
	return v.meta.Placement > since || v.changes(rows.TableUploads, since+1)() != nil
}

// changes iterates a table's rows from a change index on.
func (v *View) changes(table string, from uint64) func() any {
	it, err := v.txn.LowerBound(table, rows.ByChanged, rows.Key64(from))
	if err != nil {
		panic(fmt.Sprintf("catalog: feed of %s: %v", table, err))
	}
	return it.Next
}

// changedAt is the change index of a row, and the end of time for none.
func changedAt(o any) uint64 {
	switch r := o.(type) {
	case *rows.Video:
		return r.Video.Index
	case *rows.Upload:
		return r.Changed
	}
	return 1<<64 - 1
}

// Change is one row that the feed shows: a video, or an upload.
type Change struct {
	Index     uint64 // of the row's last change
	Video     vstack.Video
	Published uint64         // index at which the video was published
	Upload    *vstack.Upload // nil for a video

	view *View
	row  *rows.Video
}

// Manifest reads that of a published video; nil for another.
func (c *Change) Manifest() (*vstack.Manifest, error) {
	if c.row == nil {
		return nil, nil
	}
	return c.view.manifest(c.row)
}

// Changes are the rows that changed after since, in the order of their last changes. A video's
// views are left out.
func (v *View) Changes(since uint64) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		videos, uploads := v.changes(rows.TableVideos, since+1), v.changes(rows.TableUploads, since+1)
		video, upload := videos(), uploads()
		for video != nil || upload != nil {
			if changedAt(video) > changedAt(upload) {
				r := upload.(*rows.Upload)
				upload = uploads()
				if !yield(Change{Index: r.Changed, Upload: &r.Upload}) {
					return
				}
				continue
			}
			r := video.(*rows.Video)
			video = videos()
			if !yield(Change{Index: r.Video.Index, Video: r.Video, Published: v.published(r), view: v, row: r}) {
				return
			}
		}
	}
}

// published is the index at which a video was published, or a backup with it restored: its
// upload has not changed since.
func (v *View) published(r *rows.Video) uint64 {
	if u := rows.Get[*rows.Upload](v.txn, rows.TableUploads, r.Upload[:]); u != nil && u.Upload.State == vstack.UploadPublished {
		return u.Changed
	}
	return r.Video.Index
}
