package catalog

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// ReadSnapshot reads a snapshot into a catalog that nobody changes.
func ReadSnapshot(r io.Reader) (*View, error) {
	store := blobs.InMemory()
	db, app, err := readInto(r, store)
	if err != nil {
		return nil, err
	}
	return &View{txn: db.Txn(false), meta: &app.meta, blobs: store}, nil
}

// readInto reads a snapshot that brings all of its manifests.
func readInto(r io.Reader, store *blobs.Store) (*memdb.MemDB, *application, error) {
	to, err := store.Restore()
	if err != nil {
		return nil, nil, err
	}
	db, app, err := read(r, to)
	if err != nil {
		to.End(false, 0)
		return nil, nil, err
	}
	to.End(true, app.meta.Applied)
	return db, app, nil
}

// Rebase reads a snapshot into a catalog that continues it at the index base, past
// everything that its lost history may have issued:
//
//   - incarnations go on from base, so that none is issued twice;
//   - open uploads are aborted: their slots may hold values that were chosen in epochs
//     which this catalog does not know;
//   - so no slot is voted on that has votes, and every placement group begins an epoch
//     from base on with nothing to take over;
//   - every row changes, so that whoever follows the feed reads all of it again;
//   - it says when that was, since stores keep for long what only the lost history named;
//   - its feature level is at least floor, that of the cluster: a level never falls.
func Rebase(r io.Reader, base uint64, floor vstack.Level, now time.Time) (*View, error) {
	store := blobs.InMemory()
	db, app, err := readInto(r, store)
	if err != nil {
		return nil, err
	}
	if base <= app.meta.Applied {
		return nil, fmt.Errorf("rebase a catalog of index %d to %d: %w: want a later one", app.meta.Applied, base, vstack.ErrInvalid)
	}
	txn := db.Txn(true)
	defer txn.Abort()
	a := &application{txn: txn, blobs: store, orphan: store.Orphan, meta: app.meta, requests: app.requests, index: base}
	a.meta.Restored, a.meta.RestoredAt = base, now.UTC()
	a.meta.Incarnation = max(a.meta.Incarnation, vstack.Incarnation(base))
	a.rebaseRows()
	if err := a.raise(floor); err != nil {
		return nil, err
	}
	if g := rows.Get[*rows.Groups](txn, rows.TableGroups, []byte{1}); g != nil {
		next := rows.Groups{Groups: make([]vstack.PGTargets, len(g.Groups))}
		for pg, t := range g.Groups {
			next.Groups[pg] = vstack.PGTargets{Epoch: max(t.Epoch+1, vstack.Epoch(base)), Targets: t.Targets, Fragments: t.Fragments}
		}
		a.put(&next)
	}
	a.index++
	a.placementChanged()
	a.meta.Applied = a.index
	if err := a.finish(); err != nil {
		return nil, err
	}
	txn.Commit()
	return &View{txn: db.Txn(false), meta: &a.meta, blobs: store}, nil
}

// rebaseRows gives each upload and video a change index of its own, since the feed sends
// all changes of one index in one page.
func (a *application) rebaseRows() {
	var uploads []*rows.Upload
	rows.Each(a.txn, rows.TableUploads, rows.ByCreated, func(r *rows.Upload) { uploads = append(uploads, r) })
	for _, u := range uploads {
		a.index++
		if u.Upload.State == vstack.UploadOpen {
			a.endUpload(u)
		} else {
			a.putUpload(*u)
		}
	}
	var videos []*rows.Video
	rows.Each(a.txn, rows.TableVideos, rows.ByCreated, func(r *rows.Video) { videos = append(videos, r) })
	for _, v := range videos {
		a.index++
		next := *v
		if next.Video.State == vstack.VideoUploading {
			next.Video.State = vstack.VideoFailed
		}
		a.putVideo(next)
	}
}

// Counts sum a catalog up.
type Counts struct {
	Videos    int `json:"videos"` // tombstones included
	Published int `json:"published"`
	Chunks    int `json:"chunks"` // of published videos
	Uploads   int `json:"uploads"`
	Open      int `json:"open_uploads"`
	Stores    int `json:"stores"`
	Groups    int `json:"groups"`
}

// Counts walks the videos.
func (v *View) Counts() Counts {
	c := Counts{Videos: v.meta.Videos, Uploads: v.meta.Uploads, Open: v.meta.OpenUploads, Stores: v.meta.Stores, Groups: len(v.Placement().Groups)}
	rows.Each(v.txn, rows.TableVideos, rows.ByID, func(r *rows.Video) {
		if r.Video.State == vstack.VideoPublished {
			c.Published++
			c.Chunks += r.Video.Chunks
		}
	})
	return c
}

// Empty reports whether no video was ever there.
func (v *View) Empty() bool { return v.meta.Videos == 0 && v.meta.Uploads == 0 }

// Restored is the index from which on this catalog continues a backup; 0 for one that
// never was.
func (v *View) Restored() uint64 { return v.meta.Restored }

// RestoredAt is when that was; zero for one that never was.
func (v *View) RestoredAt() time.Time { return v.meta.RestoredAt }
