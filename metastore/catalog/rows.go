package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/manifest"
)

// row is an object of a table that counts in the checksum. Its JSON is both its form
// in a snapshot and what is hashed.
type row interface {
	table() string
	key() []byte
	checksum() sum
}

type videoRow struct {
	Video    vstack.Video     `json:"video"` // Views is kept in viewsRow: counting must not wake the feed
	Upload   vstack.UploadID  `json:"upload"`
	Created  uint64           `json:"created"` // Raft index
	Manifest *vstack.Manifest `json:"manifest,omitempty"`

	digest [sha256.Size]byte // of Manifest
	sum    sum
}

type uploadRow struct {
	Upload  vstack.Upload `json:"upload"` // its Index is that of the incarnation
	Created uint64        `json:"created"`
	Changed uint64        `json:"changed"`

	sum sum
}

type viewsRow struct {
	Video vstack.VideoID `json:"video"`
	Count int64          `json:"count"`

	sum sum
}

type storeRow struct {
	Store vstack.Store `json:"store"`
	Echo  vstack.LSN   `json:"echo"` // highest LSN committed
	// With is the store that an operator wants in its place while it leaves.
	With vstack.StoreID `json:"with,omitzero"`

	sum sum
}

type groupsRow struct {
	Groups []vstack.PGTargets `json:"groups"`

	sum sum
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
	// RestoredAt is when it did, by the clock of the leader that was asked.
	RestoredAt time.Time `json:"restored_at,omitzero"`

	Sum     sum           `json:"-"` // of all rows
	Answers []*requestRow `json:"-"` // of the last requests, oldest first; see requests.go
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

func (r *videoRow) checksum() sum  { return r.sum }
func (r *uploadRow) checksum() sum { return r.sum }
func (r *viewsRow) checksum() sum  { return r.sum }
func (r *storeRow) checksum() sum  { return r.sum }
func (r *groupsRow) checksum() sum { return r.sum }

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
		r.sum, err = sumOf(r.table(), bare, r.digest[:])
	case *uploadRow:
		r.sum, err = sumOf(r.table(), r, nil)
	case *viewsRow:
		r.sum, err = sumOf(r.table(), r, nil)
	case *storeRow:
		r.sum, err = sumOf(r.table(), r, nil)
	case *groupsRow:
		r.sum, err = sumOf(r.table(), r, nil)
	default:
		err = fmt.Errorf("seal a %T: %w", r, vstack.ErrInternal)
	}
	return r, err
}

// sum is a hash of a set of rows: the lane-wise sum of their SHA-256, so that a row
// can be taken out again. It finds members that differ by accident or decay; it is no
// defence against somebody who picks the rows.
type sum [4]uint64

func (s sum) plus(o sum) sum {
	for i := range s {
		s[i] += o[i]
	}
	return s
}

func (s sum) minus(o sum) sum {
	for i := range s {
		s[i] -= o[i]
	}
	return s
}

func (s sum) String() string {
	var b []byte
	for _, lane := range s {
		b = binary.BigEndian.AppendUint64(b, lane)
	}
	return hex.EncodeToString(b)
}

func sumOf(table string, v any, extra []byte) (sum, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return sum{}, fmt.Errorf("checksum a row of %s: %w", table, err)
	}
	h := sha256.New()
	h.Write([]byte(table))
	h.Write([]byte{0})
	h.Write(extra)
	h.Write(b)
	return lanes(h), nil
}

func lanes(h hash.Hash) (s sum) {
	b := h.Sum(nil)
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return s
}
