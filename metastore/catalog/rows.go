package catalog

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/meter"
	"github.com/vstack/vstack/metastore/catalog/sums"
	"github.com/vstack/vstack/metastore/manifest"
)

// row is an object of a table that counts in the checksum. Its JSON is both its form
// in a snapshot and what is hashed.
type row interface {
	table() string
	key() []byte
	checksum() sums.Sum
}

type videoRow struct {
	Video    vstack.Video     `json:"video"` // Views is kept in viewsRow: counting must not wake the feed
	Upload   vstack.UploadID  `json:"upload"`
	Created  uint64           `json:"created"` // Raft index
	Manifest *vstack.Manifest `json:"manifest,omitempty"`

	digest [sha256.Size]byte // of Manifest
	sum    sums.Sum
}

type uploadRow struct {
	Upload  vstack.Upload `json:"upload"` // its Index is that of the incarnation
	Created uint64        `json:"created"`
	Changed uint64        `json:"changed"`

	sum sums.Sum
}

type viewsRow struct {
	Video vstack.VideoID `json:"video"`
	Count int64          `json:"count"`
	// Heat is what counts of them for the video's class, as of one less than Since steps: see
	// package heat. Both are absent below vstack.LevelPolicy, and 0 for views from before.
	Heat  int64  `json:"heat,omitzero"`
	Since uint64 `json:"since,omitzero"`

	sum sums.Sum
}

type storeRow struct {
	Store vstack.Store `json:"store"`
	Echo  vstack.LSN   `json:"echo"` // highest LSN committed
	// With is the store that an operator wants in its place while it leaves.
	With vstack.StoreID `json:"with,omitzero"`

	sum sums.Sum
}

type groupsRow struct {
	Groups []vstack.PGTargets `json:"groups"`

	sum sums.Sum
}

// metaRow is not counted in Sum by itself: see View.Checksum.
type metaRow struct {
	Applied     uint64             `json:"applied"`      // Raft index of the last command
	Feed        uint64             `json:"feed"`         // index of the last change that the feed shows
	Placement   uint64             `json:"placement"`    // index of the last change of stores or groups
	Incarnation vstack.Incarnation `json:"incarnation"`  // last issued
	OpenUploads int                `json:"open_uploads"` // in state open
	Uploads     int                `json:"uploads"`      // ever opened
	Videos      int                `json:"videos"`       // rows, tombstones included
	Stores      int                `json:"stores"`
	Requests    int                `json:"requests"`
	// Moved says that an epoch change was ever prepared.
	Moved bool `json:"moved,omitzero"`
	// Cluster is the catalog's identity, from the first placement on.
	Cluster vstack.ClusterID `json:"cluster,omitzero"`
	// Restored is where the catalog went on from a backup; see Rebase.
	Restored uint64 `json:"restored,omitzero"`
	// Level is the cluster's feature level; absent for vstack.LevelFirst.
	Level vstack.Level `json:"level,omitzero"`
	// ClassFloor is the index of the entry that raised the cluster to vstack.LevelFormats:
	// the ClassIndex of videos that were published before.
	ClassFloor uint64 `json:"class_floor,omitzero"`
	// Balance says whether roles are being shared out anew; absent below vstack.LevelPolicy.
	Balance vstack.Balance `json:"balance,omitzero"`
	// Events are the rows of events; absent below vstack.LevelPolicy.
	Events int `json:"events,omitzero"`
	// Tickets are to upload with, oldest first; absent below vstack.LevelPolicy.
	Tickets []vstack.Ticket `json:"tickets,omitempty"`
	// Revoked are certificates; absent below vstack.LevelPolicy.
	Revoked []vstack.Revocation `json:"revoked,omitempty"`
	// TokenKeys are those of playback tokens; absent below vstack.LevelAccess.
	TokenKeys vstack.TokenKeys `json:"token_keys,omitzero"`
	// APIKeys are of programs; absent below vstack.LevelKeys.
	APIKeys []vstack.APIKey `json:"api_keys,omitempty"`
	// RestoredAt is when it did, by the clock of the leader that was asked.
	RestoredAt time.Time `json:"restored_at,omitzero"`

	// Viewers are the runs of members that counted views, the last to do so at the end;
	// see package views. Empty below vstack.LevelFormats.
	Viewers []wire.ViewsSource `json:"viewers,omitzero"`
	// Redundancy is absent until something is decided, and below vstack.LevelPolicy.
	Redundancy *redundancy `json:"redundancy,omitempty"`

	Sum     sums.Sum      `json:"-"` // of all rows
	Answers []*requestRow `json:"-"` // of the last requests, oldest first; see requests.go
}

// counts are what the metrics show.
func (m *metaRow) counts() meter.State {
	return meter.State{
		Applied: m.Applied, Videos: m.Videos, Uploads: m.Uploads, OpenUploads: m.OpenUploads, Stores: m.Stores, Requests: m.Requests,
	}
}

// frozen reports whether placement changes by epoch only.
func (m *metaRow) frozen() bool { return m.Uploads > 0 || m.Moved }

func (r *videoRow) table() string  { return tableVideos }
func (r *uploadRow) table() string { return tableUploads }
func (r *viewsRow) table() string  { return tableViews }
func (r *storeRow) table() string  { return tableStores }
func (r *groupsRow) table() string { return tableGroups }

func (r *videoRow) key() []byte  { return r.Video.ID[:] }
func (r *uploadRow) key() []byte { return r.Upload.ID[:] }
func (r *viewsRow) key() []byte  { return r.Video[:] }
func (r *storeRow) key() []byte  { return r.Store.ID[:] }
func (r *groupsRow) key() []byte { return []byte{1} }
func (r *metaRow) key() []byte   { return []byte{1} }

func (r *videoRow) checksum() sums.Sum  { return r.sum }
func (r *uploadRow) checksum() sums.Sum { return r.sum }
func (r *viewsRow) checksum() sums.Sum  { return r.sum }
func (r *storeRow) checksum() sums.Sum  { return r.sum }
func (r *groupsRow) checksum() sums.Sum { return r.sum }

// seal computes the row's checksum; every row is sealed before it is inserted.
func seal(r row) (row, error) {
	var err error
	switch r := r.(type) {
	case *videoRow:
		switch { // a manifest never changes, so that its digest is that of the row before
		case r.Manifest == nil:
			r.digest = [sha256.Size]byte{}
		case r.digest == [sha256.Size]byte{}:
			if r.digest, err = manifest.Digest(r.Manifest); err != nil {
				return nil, err
			}
		}
		bare := *r
		bare.Manifest = nil
		r.sum, err = sums.Of(r.table(), bare, r.digest[:])
	case *uploadRow:
		r.sum, err = sums.Of(r.table(), r, nil)
	case *viewsRow:
		r.sum, err = sums.Of(r.table(), r, nil)
	case *storeRow:
		r.sum, err = sums.Of(r.table(), r, nil)
	case *eventRow:
		r.sum, err = sums.Of(r.table(), r, nil)
	case *groupsRow:
		r.sum, err = sums.Of(r.table(), r, nil)
	default:
		err = fmt.Errorf("seal a %T: %w", r, vstack.ErrInternal)
	}
	return r, err
}
