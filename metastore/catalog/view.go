package catalog

import (
	"fmt"
	"slices"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/rows"
	"github.com/vstack/vstack/metastore/catalog/sums"
)

// View is a consistent read of the catalog at one applied index. What it returns is
// shared and must not be changed.
type View struct {
	txn   *memdb.Txn
	meta  *rows.Meta
	blobs *blobs.Store
	// of is the catalog that it is a view of, nil for one that nobody changes.
	of *Catalog
}

// Applied is the Raft index of the last command in this view.
func (v *View) Applied() uint64 { return v.meta.Applied }

// FeedIndex is the index of the last change that the feed shows.
func (v *View) FeedIndex() uint64 { return v.meta.Feed }

// Cluster is the catalog's identity; zero before the first placement.
func (v *View) Cluster() vstack.ClusterID { return v.meta.Cluster }

// Level is the cluster's feature level.
func (v *View) Level() vstack.Level { return v.meta.Level.OrFirst() }

// ClassFloor is the least that counts as a video's ClassIndex; 0 below the feature level
// that keeps it.
func (v *View) ClassFloor() uint64 { return v.meta.ClassFloor }

// Balance says whether roles are being shared out anew.
func (v *View) Balance() vstack.Balance { return v.meta.Balance }

// Tickets are to upload with, oldest first; some may have expired.
func (v *View) Tickets() []vstack.Ticket { return v.meta.Tickets }

// Revoked are certificates that are good no more.
func (v *View) Revoked() []vstack.Revocation { return v.meta.Revoked }

// TokenKeys are those of playback tokens.
func (v *View) TokenKeys() vstack.TokenKeys { return v.meta.TokenKeys }

// APIKeys are of programs; some may have expired.
func (v *View) APIKeys() []vstack.APIKey { return v.meta.APIKeys }

// Frozen reports whether an upload was ever opened or an epoch change prepared:
// placement then changes by epoch only.
func (v *View) Frozen() bool { return v.meta.Frozen() }

// Checksum covers everything at Applied; members at one index have one checksum.
func (v *View) Checksum() (string, error) {
	s, err := sums.Of(rows.TableMeta, v.meta, nil)
	if err != nil {
		return "", err
	}
	return s.Plus(v.meta.Sum).String(), nil
}

// Video looks one video up, tombstones included.
func (v *View) Video(id vstack.VideoID) (vstack.Video, error) {
	r := rows.Get[*rows.Video](v.txn, rows.TableVideos, id[:])
	if r == nil {
		return vstack.Video{}, fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	return rows.WithViews(v.txn, v.meta, r), nil
}

// Manifest returns a published video's manifest and its digest, which serves as ETag.
func (v *View) Manifest(id vstack.VideoID) (*vstack.Manifest, vstack.ChunkID, error) {
	r := rows.Get[*rows.Video](v.txn, rows.TableVideos, id[:])
	if r == nil || !r.Published() {
		return nil, vstack.ChunkID{}, fmt.Errorf("manifest of video %s: %w", id, vstack.ErrNotFound)
	}
	m, err := v.manifest(r)
	return m, r.ManifestDigest(), err
}

// Videos lists a page, newest first: at most limit videos created before the Raft
// index before (0: the newest), in the given state (empty: all but deleted). next is
// the before of the next page, 0 at the end.
func (v *View) Videos(state vstack.VideoState, before uint64, limit int) (page []vstack.Video, next uint64) {
	newestFirst(v.txn, rows.TableVideos, before, func(r *rows.Video) bool {
		if r.Video.State != state && (state != "" || r.Video.State == vstack.VideoDeleted) {
			return true
		}
		if len(page) == limit {
			return false
		}
		page, next = append(page, rows.WithViews(v.txn, v.meta, r)), r.Created
		return true
	}, &next)
	return page, next
}

// newestFirst walks rows by descending creation index, and zeroes next if it came to
// the end.
func newestFirst[R any](txn *memdb.Txn, table string, before uint64, yield func(R) bool, next *uint64) {
	if before == 0 {
		before = 1<<64 - 1
	}
	// Keys of the index are the number and then the row's id, so that those of before
	// itself are above the bound.
	it, err := txn.ReverseLowerBound(table, rows.ByCreated, rows.Key64(before))
	if err != nil {
		panic(fmt.Sprintf("catalog: list %s: %v", table, err))
	}
	for o := it.Next(); o != nil; o = it.Next() {
		if !yield(o.(R)) {
			return
		}
	}
	*next = 0
}

// Upload looks one upload up.
func (v *View) Upload(id vstack.UploadID) (vstack.Upload, error) {
	r := rows.Get[*rows.Upload](v.txn, rows.TableUploads, id[:])
	if r == nil {
		return vstack.Upload{}, fmt.Errorf("upload %s: %w", id, vstack.ErrNotFound)
	}
	return r.Upload, nil
}

// Uploads lists a page, newest first, as Videos does. A zero source selects all.
func (v *View) Uploads(state vstack.UploadState, source vstack.ChunkID, before uint64, limit int) (page []vstack.Upload, next uint64) {
	take := func(r *rows.Upload) bool {
		if (state != "" && r.Upload.State != state) || (before != 0 && r.Created >= before) {
			return true
		}
		if len(page) == limit {
			return false
		}
		page, next = append(page, r.Upload), r.Created
		return true
	}
	if source.IsZero() {
		newestFirst(v.txn, rows.TableUploads, before, take, &next)
		return page, next
	}
	// Few uploads share a source, so they are sorted here.
	var found []*rows.Upload
	rows.Each(v.txn, rows.TableUploads, rows.BySource, func(r *rows.Upload) { found = append(found, r) }, source[:])
	slices.SortFunc(found, func(a, b *rows.Upload) int { return int(int64(b.Created) - int64(a.Created)) })
	for _, r := range found {
		if !take(r) {
			return page, next
		}
	}
	return page, 0
}

// Store is a registered store with its committed echo and, while it leaves by an
// operator's order, the store that is wanted in its place.
type Store struct {
	vstack.Store
	Echo vstack.LSN
	With vstack.StoreID
}

// Stores lists every store, by id.
func (v *View) Stores() (stores []Store) {
	rows.Each(v.txn, rows.TableStores, rows.ByID, func(r *rows.Store) { stores = append(stores, Store{r.Store, r.Echo, r.With}) })
	return stores
}

// Store looks one store up.
func (v *View) Store(id vstack.StoreID) (Store, bool) {
	r := rows.Get[*rows.Store](v.txn, rows.TableStores, id[:])
	if r == nil {
		return Store{}, false
	}
	return Store{r.Store, r.Echo, r.With}, true
}

// PlacementVersion is the Raft index of the last change of the placement map.
func (v *View) PlacementVersion() uint64 { return v.meta.Placement }

// Placement assembles the placement map.
func (v *View) Placement() *vstack.PlacementMap { return placementOf(v.txn, v.meta) }

func placementOf(txn *memdb.Txn, meta *rows.Meta) *vstack.PlacementMap {
	m := &vstack.PlacementMap{Version: meta.Placement, Targets: meta.Targets, Groups: []vstack.PGTargets{}, Stores: []vstack.Store{}}
	if g := rows.Get[*rows.Groups](txn, rows.TableGroups, []byte{1}); g != nil {
		m.Groups = g.Groups
	}
	rows.Each(txn, rows.TableStores, rows.ByID, func(r *rows.Store) { m.Stores = append(m.Stores, r.Store) })
	return m
}
