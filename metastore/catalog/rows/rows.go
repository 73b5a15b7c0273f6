package rows

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/sums"
	"github.com/vstack/vstack/metastore/manifest"
)

// Row is an object of a table that counts in the checksum. Its JSON is both its form
// in a snapshot and what is hashed.
type Row interface {
	Table() string
	Key() []byte
	Checksum() sums.Sum
}

// Video is a video. A published one's manifest is in it on its way into the table only, and kept
// apart from there on, by its digest.
type Video struct {
	Video    vstack.Video     `json:"video"` // its Views are kept in a row of their own: counting must not wake the feed
	Upload   vstack.UploadID  `json:"upload"`
	Created  uint64           `json:"created"`            // Raft index
	Manifest *vstack.Manifest `json:"manifest,omitempty"` // the last field, see Splice

	digest [sha256.Size]byte // of the manifest, 0 without one
	size   uint32            // bytes of its blob
	sum    sums.Sum
}

// Upload is an upload, open or over.
type Upload struct {
	Upload  vstack.Upload `json:"upload"` // its Index is that of the incarnation
	Created uint64        `json:"created"`
	Changed uint64        `json:"changed"`

	sum sums.Sum
}

// Views is how often a video was played.
type Views struct {
	Video vstack.VideoID `json:"video"`
	Count int64          `json:"count"`
	// Heat is what counts of them for the video's class, as of one less than Since steps: see
	// package heat. Both are absent below vstack.LevelPolicy, and 0 for views from before.
	Heat  int64  `json:"heat,omitzero"`
	Since uint64 `json:"since,omitzero"`

	sum sums.Sum
}

// Store is a registered store.
type Store struct {
	Store vstack.Store `json:"store"`
	Echo  vstack.LSN   `json:"echo"` // highest LSN committed
	// With is the store that an operator wants in its place while it leaves.
	With vstack.StoreID `json:"with,omitzero"`

	sum sums.Sum
}

// Groups is the one row of the targets of all placement groups.
type Groups struct {
	Groups []vstack.PGTargets `json:"groups"`

	sum sums.Sum
}

// Event is one of the last vstack.MaxEvents events.
type Event struct {
	Event vstack.Event `json:"event"`

	sum sums.Sum
}

func (r *Event) Table() string      { return TableEvents }
func (r *Event) Checksum() sums.Sum { return r.sum }
func (r *Event) Key() []byte {
	return binary.BigEndian.AppendUint32(Key64(r.Event.Index), uint32(r.Event.Part))
}

func (r *Video) Table() string  { return TableVideos }
func (r *Upload) Table() string { return TableUploads }
func (r *Views) Table() string  { return TableViews }
func (r *Store) Table() string  { return TableStores }
func (r *Groups) Table() string { return TableGroups }

func (r *Video) Key() []byte  { return r.Video.ID[:] }
func (r *Upload) Key() []byte { return r.Upload.ID[:] }
func (r *Views) Key() []byte  { return r.Video[:] }
func (r *Store) Key() []byte  { return r.Store.ID[:] }
func (r *Groups) Key() []byte { return []byte{1} }
func (r *Meta) Key() []byte   { return []byte{1} }

func (r *Video) Checksum() sums.Sum  { return r.sum }
func (r *Upload) Checksum() sums.Sum { return r.sum }
func (r *Views) Checksum() sums.Sum  { return r.sum }
func (r *Store) Checksum() sums.Sum  { return r.sum }
func (r *Groups) Checksum() sums.Sum { return r.sum }

// ManifestDigest is that of the row's manifest, 0 without one.
func (r *Video) ManifestDigest() [sha256.Size]byte { return r.digest }

// Published reports whether there is a manifest.
func (r *Video) Published() bool { return r.digest != [sha256.Size]byte{} }

// Forget takes the manifest away.
func (r *Video) Forget() { r.Manifest, r.digest, r.size = nil, [sha256.Size]byte{}, 0 }

// Part makes of the manifest a blob, and leaves its digest in the row.
func (r *Video) Part() ([]byte, error) {
	b, err := AppendBlob(nil, r.Manifest)
	if err == nil && r.digest == [sha256.Size]byte{} {
		r.digest, err = manifest.DigestHead(headOf(b), r.Manifest)
	}
	r.Manifest, r.size = nil, uint32(len(b))
	return b, err
}

// Seal computes the row's checksum; every row is sealed before it is inserted.
func Seal(r Row) (Row, error) {
	var err error
	switch r := r.(type) {
	case *Video:
		if r.Manifest != nil {
			return nil, fmt.Errorf("seal a video with its manifest in it: %w", vstack.ErrInternal)
		}
		r.sum, err = sums.Of(r.Table(), r, r.digest[:])
	case *Upload:
		r.sum, err = sums.Of(r.Table(), r, nil)
	case *Views:
		r.sum, err = sums.Of(r.Table(), r, nil)
	case *Store:
		r.sum, err = sums.Of(r.Table(), r, nil)
	case *Event:
		r.sum, err = sums.Of(r.Table(), r, nil)
	case *Groups:
		r.sum, err = sums.Of(r.Table(), r, nil)
	default:
		err = fmt.Errorf("seal a %T: %w", r, vstack.ErrInternal)
	}
	return r, err
}
