package rows

import (
	"cmp"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/heat"
	"github.com/vstack/vstack/metastore/catalog/meter"
	"github.com/vstack/vstack/metastore/catalog/sums"
)

// Meta is not counted in Sum by itself: see catalog.View.Checksum.
type Meta struct {
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
	// Restored is where the catalog went on from a backup; see catalog.View.Restored.
	Restored uint64 `json:"restored,omitzero"`
	// Level is the cluster's feature level; absent for vstack.LevelFirst.
	Level vstack.Level `json:"level,omitzero"`
	// ClassFloor is the index of the entry that raised the cluster to vstack.LevelFormats:
	// the ClassIndex of videos that were published before.
	ClassFloor uint64 `json:"class_floor,omitzero"`
	// Balance says whether roles are being shared out anew; absent below vstack.LevelPolicy.
	Balance vstack.Balance `json:"balance,omitzero"`
	// Targets is how many a placement group is to have; absent for vstack.Targets, and below
	// vstack.LevelManifests.
	Targets int `json:"targets,omitzero"`
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
	Redundancy *Redundancy `json:"redundancy,omitempty"`

	Sum     sums.Sum   `json:"-"` // of all rows
	Answers []*Request `json:"-"` // of the last requests, oldest first
}

// Counts are what the metrics show.
func (m *Meta) Counts() meter.State {
	return meter.State{
		Applied: m.Applied, Videos: m.Videos, Uploads: m.Uploads, OpenUploads: m.OpenUploads, Stores: m.Stores, Requests: m.Requests,
	}
}

// Frozen reports whether placement changes by epoch only.
func (m *Meta) Frozen() bool { return m.Uploads > 0 || m.Moved }

// Redundancy is what people decided about the classes of all videos, and how far views have
// decayed. It is of vstack.LevelPolicy, and replaced rather than changed.
type Redundancy struct {
	Policy *vstack.RedundancyPolicy `json:"policy,omitempty"`
	Paused bool                     `json:"paused,omitzero"`
	// Steps are those of heat that have passed, the last of them at At.
	Steps uint64    `json:"steps,omitzero"`
	At    time.Time `json:"at,omitzero"`
}

// TargetCount is how many targets a placement group is to have.
func (m *Meta) TargetCount() int { return cmp.Or(m.Targets, vstack.Targets) }

// Decided is a copy of Redundancy, zero where nothing was decided.
func (m *Meta) Decided() Redundancy {
	if m.Redundancy == nil {
		return Redundancy{}
	}
	return *m.Redundancy
}

// Heat is a row's as of now. Views from before they decayed count in full at step 0.
func (m *Meta) Heat(r *Views) int64 {
	if r == nil || m.Level < vstack.LevelPolicy {
		return 0
	}
	if r.Since == 0 {
		return heat.After(heat.Add(0, r.Count), m.Decided().Steps)
	}
	return heat.After(r.Heat, m.Decided().Steps+1-r.Since)
}

// WithViews is the video as readers see it.
func WithViews(txn *memdb.Txn, m *Meta, r *Video) vstack.Video {
	v := r.Video
	if w := Get[*Views](txn, TableViews, r.Key()); w != nil {
		v.Views, v.Popularity = w.Count, m.Heat(w)/heat.View
	}
	return v
}
