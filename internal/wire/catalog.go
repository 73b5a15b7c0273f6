package wire

import (
	"encoding/json"
	"time"

	google "github.com/google/uuid"

	"github.com/vstack/vstack/internal/vstack"
)

// OpenUploadRequest is the body of POST /v1/uploads. It creates the video and its
// first incarnation.
type OpenUploadRequest struct {
	Title  string             `json:"title"`
	Policy vstack.ClassPolicy `json:"policy,omitempty"` // default auto
	Owner  vstack.ProposerID  `json:"owner"`
	Source vstack.Source      `json:"source"`
	// Visibility says who may watch from the beginning; none is public. From vstack.LevelAccess on.
	Visibility vstack.Visibility `json:"visibility,omitzero"`
}

// ResumeUploadRequest is the body of POST /v1/uploads/{id}/resume. It issues a fresh
// incarnation to Owner and fences every earlier one.
type ResumeUploadRequest struct {
	Owner vstack.ProposerID `json:"owner"`
}

// PublishRequest is the body of PUT /v1/uploads/{id}/publish. It is one Raft entry;
// a repeat with the same manifest answers the same.
type PublishRequest struct {
	Incarnation vstack.Incarnation `json:"incarnation"`
	Manifest    vstack.Manifest    `json:"manifest"`
	// Source is the whole file's, of an upload that was opened before it was known; from
	// vstack.LevelFormats on.
	Source *PublishedSource `json:"source,omitempty"`
}

// PublishedSource is what is known of an uploaded file once all of it has arrived.
type PublishedSource struct {
	Size   int64          `json:"size"` // bytes
	SHA256 vstack.ChunkID `json:"sha256"`
}

// VideoPatch is the body of PATCH /v1/videos/{id}.
type VideoPatch struct {
	Title *string `json:"title,omitempty"`
	// Visibility says who may watch from now on, and RevokeTokens takes their rights from the
	// playback tokens that were issued for the video until now; from vstack.LevelAccess on.
	Visibility   vstack.Visibility `json:"visibility,omitzero"`
	RevokeTokens bool              `json:"revoke_tokens,omitzero"`
}

// ClassRequest is the body of PUT /v1/videos/{id}/class.
type ClassRequest struct {
	Policy vstack.ClassPolicy `json:"policy"`
	// Layout is how the video is to lie when it cools; it cannot change while the video is
	// not hot. Default the cluster's.
	Layout *vstack.Layout `json:"layout,omitempty"`
}

// ViewsRequest is the body of POST /v1/videos/{id}/views.
type ViewsRequest struct {
	Count int64 `json:"count"` // 1 to 1,000
}

// VideoViews is a number of views of one video.
type VideoViews struct {
	Video vstack.VideoID `json:"video"`
	Count int64          `json:"count"`
}

// ViewsBatch is the body of POST /v1/views: what one member counted in one interval,
// for the leader to commit as one entry.
type ViewsBatch struct {
	Views []VideoViews `json:"views"`
	// Source makes a repeat harmless for ever; absent below vstack.LevelFormats.
	Source ViewsSource `json:"source,omitzero"`
}

// ViewsSource is one run of a member's process, by a random UUID, and the number of its
// batch, from 1. A run sends a batch until it is confirmed, and only then the next.
type ViewsSource struct {
	Run google.UUID `json:"run"`
	Seq uint64      `json:"seq"`
}

// List is the envelope of a listing. Next is the cursor of the next page, empty at the end.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// MarshalJSON writes an empty listing as [], which clients can range over, never null.
func (l List[T]) MarshalJSON() ([]byte, error) {
	type plain List[T]
	if l.Items == nil {
		l.Items = []T{}
	}
	return json.Marshal(plain(l))
}

// SlotPlacement says where one slot of a video lives; GET /v1/videos/{id}/placement.
type SlotPlacement struct {
	Slot    vstack.Slot      `json:"slot"`
	Chunk   vstack.ChunkRef  `json:"chunk"`
	PG      vstack.PG        `json:"pg"`
	Epoch   vstack.Epoch     `json:"epoch"`
	Holders []vstack.StoreID `json:"holders"`
	// Scheme and Fragments say that the holders hold fragments: which one each. Absent where
	// they hold copies.
	Scheme    vstack.Scheme           `json:"scheme,omitzero"`
	Fragments []vstack.FragmentNumber `json:"fragments,omitempty"`
}

// VideoPlacement answers GET /v1/videos/{id}/placement. HostsCanFail and
// StoresCanFail are computed from the actual placement: how many of them, chosen
// worst, may be lost from now with every chunk still readable; stores that are down
// count as lost already, and -1 says that some chunk cannot be read now.
type VideoPlacement struct {
	Video         vstack.VideoID  `json:"video"`
	HostsCanFail  int             `json:"hosts_can_fail"`
	StoresCanFail int             `json:"stores_can_fail"`
	Slots         []SlotPlacement `json:"slots"`
	// Class is the video's. Groups are the placement groups that it has chunks in, and Waiting
	// those of them in which a store still lacks something of that class, as the leader heard;
	// other members do not say.
	Class   vstack.StorageClass `json:"class"`
	Groups  int                 `json:"groups,omitzero"`
	Waiting int                 `json:"groups_waiting,omitzero"`
	// Held is the same as HostsCanFail and StoresCanFail by what stores say that they hold: a
	// lower bound. The leader alone says it.
	Held *Bears `json:"held,omitempty"`
}

// Node is one host as GET /v1/nodes lists it.
type Node struct {
	Host     vstack.HostID     `json:"host"`
	State    vstack.StoreState `json:"state"` // the worst of its stores
	LastSeen time.Time         `json:"last_seen"`
	Version  string            `json:"version"`
	Stores   []NodeStore       `json:"stores"`
	// Level is the newest feature level that its program knows; absent for
	// vstack.LevelFirst, and while it has not reported to this leader.
	Level vstack.Level `json:"level,omitzero"`
}

// NodeStore is a registered store with its last report.
type NodeStore struct {
	vstack.Store
	Report *StoreReport `json:"report,omitempty"`
}

// FeedPage answers GET /v1/feed?since=INDEX: every object whose last change is after
// since, in index order, up to a page; the client asks again with Index until Index
// stops growing, then the server holds the request until something changes.
// The feed carries state, not history: two changes of one object show as one.
type FeedPage struct {
	Index uint64 `json:"index"` // ask again with this
	// Cluster is the catalog's identity, zero until the first placement: stores follow
	// no other than their own.
	Cluster vstack.ClusterID `json:"cluster,omitzero"`
	// End is the index of the last change that the state behind this page knows. An object
	// that changed since an earlier page comes at its last change, so a reader has all of
	// them once it reached the highest End that any page told it.
	End       uint64               `json:"end,omitzero"`
	More      bool                 `json:"more"` // another page is ready now
	Videos    []FeedVideo          `json:"videos,omitempty"`
	Uploads   []vstack.Upload      `json:"uploads,omitempty"`
	Placement *vstack.PlacementMap `json:"placement,omitempty"`
	// Keys are those of playback tokens, where they changed since.
	Keys *vstack.TokenKeys `json:"keys,omitempty"`
}

// FeedVideo is a video with its manifest once it is published. A deleted video stays
// in the feed, without a manifest.
type FeedVideo struct {
	Video    vstack.Video     `json:"video"`
	Manifest *vstack.Manifest `json:"manifest,omitempty"`
}

// RaftPeer is a member as one member sees it.
type RaftPeer struct {
	ID       string `json:"id"`
	Instance string `json:"instance,omitempty"` // of its directory; a new one is a new member
	Raft     string `json:"raft"`               // HOST:PORT of Raft
	API      string `json:"api"`                // HOST:PORT of the REST API
	Voter    bool   `json:"voter"`
	Leader   bool   `json:"leader"`
	Reached  bool   `json:"reached"` // answered the member that was asked
	// Standing, Detail, Cluster, State, Term, LastIndex, Commit and Applied are the peer's
	// own answer, when Reached. Standing is forming, joining, refused, damaged, member or removed,
	// and Detail says what to do where it is not member.
	Standing  string `json:"standing,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Cluster   string `json:"cluster,omitempty"` // the Raft cluster's name
	State     string `json:"state,omitempty"`
	Term      uint64 `json:"term,omitempty"`
	LastIndex uint64 `json:"last_index,omitempty"`
	Commit    uint64 `json:"commit,omitempty"`
	Applied   uint64 `json:"applied,omitempty"`
	// Level is the newest feature level that its program knows; absent for
	// vstack.LevelFirst.
	Level vstack.Level `json:"level,omitzero"`
	// Behind is how many committed entries the leader knows of that the peer does not.
	Behind uint64 `json:"behind,omitempty"`
	// Checksum is of the peer's catalog at Applied; peers at one index have one checksum.
	Checksum string `json:"checksum,omitempty"`
	// LastContact is seconds since the peer heard from a leader; 0 on the leader.
	LastContact float64 `json:"last_contact"`
	// Follows is the leader that the peer knows, itself where it leads.
	Follows string `json:"follows,omitempty"`
	// DiskWrite is seconds that the last write of its log took.
	DiskWrite float64 `json:"disk_write,omitempty"`
	// DiskSlow is the share, 0 to 1, of the last 10 s in which a write of its log longer
	// than 100 ms was under way; DiskStalls are those writes, DiskWrites all of them.
	DiskSlow   float64 `json:"disk_slow,omitempty"`
	DiskStalls int     `json:"disk_stalls,omitempty"`
	DiskWrites int     `json:"disk_writes,omitempty"`
	// Held is how many placement groups take no writes, as the leader knows.
	Held int `json:"held,omitzero"`
}

// RaftStatus answers GET /v1/raft/status.
type RaftStatus struct {
	Node     string       `json:"node"`
	Cluster  string       `json:"cluster,omitempty"` // the Raft cluster's name
	Leader   string       `json:"leader"`            // empty when none is known
	Term     uint64       `json:"term"`
	Checksum string       `json:"checksum"` // of the catalog at Applied
	Applied  uint64       `json:"applied"`
	CanFail  int          `json:"can_fail"` // members that can be lost now with a majority left
	Level    vstack.Level `json:"level"`    // feature level of the catalog at Applied
	Diverged bool         `json:"diverged"` // two members have different catalogs at one index
	Peers    []RaftPeer   `json:"peers"`
}

// RaftMember is one entry of the cluster's configuration.
type RaftMember struct {
	ID       string `json:"id"`
	Instance string `json:"instance"`
	Raft     string `json:"raft"`
	API      string `json:"api"`
	Voter    bool   `json:"voter"`
}

// RaftMembers answers GET /v1/raft/members. Version changes with the members; every
// answer of a member carries it in Vstack-Members.
type RaftMembers struct {
	Version string       `json:"version"`
	Cluster string       `json:"cluster"`
	Leader  string       `json:"leader"`
	Items   []RaftMember `json:"items"`
}

// AddPeerRequest is the body of POST /v1/raft/peers/{id}: where the new member serves.
type AddPeerRequest struct {
	Raft string `json:"raft"`
	API  string `json:"api"`
}

// RestoreReply answers PUT /v1/raft/snapshot: what was restored, and where the catalog
// goes on.
type RestoreReply struct {
	Cluster   vstack.ClusterID `json:"cluster"`
	From      uint64           `json:"from"`     // index of the backup
	Index     uint64           `json:"index"`    // where the catalog goes on
	Checksum  string           `json:"checksum"` // of the catalog at Index
	Videos    int              `json:"videos"`   // tombstones included
	Published int              `json:"published"`
	Chunks    int              `json:"chunks"`  // of published videos
	Aborted   int              `json:"aborted"` // uploads that were open
	Stores    int              `json:"stores"`
}

// TransferRequest is the body of POST /v1/raft/transfer; an empty To lets Raft choose.
type TransferRequest struct {
	To string `json:"to,omitempty"`
}

// EpochChange names one attempt to bring a placement group to an epoch.
type EpochChange struct {
	PG      vstack.PG    `json:"pg"`
	Epoch   vstack.Epoch `json:"epoch"`
	Attempt uint32       `json:"attempt"`
}

// ActivateRequest is the body of POST /v1/placement/activate: a majority of the new
// acceptors of each group has that attempt's install durably. At most PlacementGroups.
type ActivateRequest struct {
	Changes []EpochChange `json:"changes"`
}

// ActivateReply says which of them are in force. The others were not the last attempt
// that was issued and never will be activated. A repeat is answered the same.
type ActivateReply struct {
	Index     uint64        `json:"index"` // Raft index of the entry
	Activated []EpochChange `json:"activated"`
	Refused   []EpochChange `json:"refused,omitempty"`
}

// ReplaceStoreRequest is the body of POST /v1/stores/{id}/replace: the store gives up
// its roles, to With or, where that is empty, to the stores that spread best.
type ReplaceStoreRequest struct {
	With vstack.StoreID `json:"with,omitzero"`
}

// ReplaceStoreReply says how many placement groups the order moves, a few at a time. It
// is carried out when none of them names the store, and none has a Next that takes a role
// from it.
type ReplaceStoreReply struct {
	Groups int    `json:"groups"`
	Index  uint64 `json:"index"` // Raft index of the entry
}
