package wire

import "github.com/vstack/vstack/internal/vstack"

// Bears is how many more hosts, and how many more stores, chosen worst, may be lost with every
// chunk still readable; -1 when some chunk is not known to be readable now.
type Bears struct {
	Hosts  int `json:"hosts"`
	Stores int `json:"stores"`
}

// Tally counts videos and their bytes, those of one copy.
type Tally struct {
	Videos int   `json:"videos"`
	Bytes  int64 `json:"bytes"`
}

// RedundancyRequest is the body of PUT /v1/redundancy; what is absent stays as it is.
type RedundancyRequest struct {
	Policy *vstack.RedundancyPolicy `json:"policy,omitempty"`
	Paused *bool                    `json:"paused,omitempty"`
}

// Redundancy answers GET and PUT /v1/redundancy: how videos lie, where they go, and what may
// fail by what stores say that they hold.
type Redundancy struct {
	Policy vstack.RedundancyPolicy `json:"policy"`
	// Paused says that no video moves. Repair does not stand still.
	Paused  bool                          `json:"paused"`
	Classes map[vstack.StorageClass]Tally `json:"classes"`
	Videos  int                           `json:"videos"` // published, of those that were looked at
	// Behind says that the leader has not looked at all of them yet.
	Behind bool `json:"behind,omitzero"`

	// Bears is the worst of all videos; absent without any. Unproven are those of which not
	// enough is known to be held, Below those that bear fewer hosts than the policy asks for.
	Bears    *Bears       `json:"bears,omitempty"`
	Unproven int          `json:"unproven"`
	Below    int          `json:"below"`
	Groups   []GroupBears `json:"groups,omitempty"` // that have videos

	// Moving are on their way. ToCool and ToWarm should be by their popularity; of ToCool,
	// Later wait for another day's bytes, of which Spent have gone.
	Moving int   `json:"moving"`
	ToCool Tally `json:"to_cool"`
	ToWarm Tally `json:"to_warm"`
	Later  Tally `json:"later"`
	Spent  int64 `json:"spent"`
	// Waiting are videos that should change their class and cannot yet, the first of them.
	Waiting []WaitingVideo `json:"waiting,omitempty"`
	Waits   int            `json:"waits"` // all of them
}

// GroupBears is the worst of a placement group's videos.
type GroupBears struct {
	PG vstack.PG `json:"pg"`
	Bears
}

// WaitingVideo is a video whose next step does not come, and why.
type WaitingVideo struct {
	Video vstack.VideoID      `json:"video"`
	To    vstack.StorageClass `json:"to"`
	Why   string              `json:"why"`
}

// RedundancyPlan answers GET /v1/redundancy/plan: what a policy would have done now.
type RedundancyPlan struct {
	Policy vstack.RedundancyPolicy `json:"policy"`
	Cool   Tally                   `json:"cool"`
	Warm   Tally                   `json:"warm"`
	Writes int64                   `json:"writes"` // bytes that the moves write
	Gives  int64                   `json:"gives"`  // bytes that stores have back at the end
	// Copies is what a hot video bears on this cluster with every store in its place, and
	// Fragments a cold one.
	Copies    Bears `json:"copies"`
	Fragments Bears `json:"fragments"`
	// Refused says why nothing cools under this policy; empty where it may.
	Refused string        `json:"refused,omitempty"`
	Schemes []SchemeOffer `json:"schemes"`
	Behind  bool          `json:"behind,omitzero"` // as in Redundancy
}

// SchemeOffer is what a scheme costs and bears on this cluster; the empty scheme is three
// copies.
type SchemeOffer struct {
	Scheme vstack.Scheme `json:"scheme"`
	Cost   float64       `json:"cost"` // bytes for each byte
	Bears
	// Placed says that the groups, as they are, have a place for every piece. Of others the
	// figures are those of wider groups, which a policy with the scheme brings.
	Placed  bool   `json:"placed"`
	Refused string `json:"refused,omitempty"` // why it cannot be chosen here
}
