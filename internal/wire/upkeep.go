package wire

import "github.com/vstack/vstack/internal/vstack"

// OrderRequest is the body of POST /v1/stores/orders: one order for some stores, for all of
// them or for none.
type OrderRequest struct {
	Stores []vstack.StoreID  `json:"stores"`
	Order  vstack.StoreOrder `json:"order"`
	// Force removes stores although other stores may lack what they hold.
	Force bool `json:"force,omitzero"`
}

// OrderReply says how many roles the stores had when the order was taken, all of which it
// moves if it is a drain.
type OrderReply struct {
	Roles int    `json:"roles"`
	Index uint64 `json:"index"` // Raft index of the entry
}

// StandingOrder is a store that is cordoned or that leaves, and what that waits for.
type StandingOrder struct {
	Store    vstack.StoreID    `json:"store"`
	Host     vstack.HostID     `json:"host"`
	State    vstack.StoreState `json:"state"`
	Cordoned bool              `json:"cordoned"`
	Leaving  vstack.Leave      `json:"leaving,omitzero"`
	Roles    int               `json:"roles"`  // groups that name it
	Moving   int               `json:"moving"` // of them, those whose next epoch does without it
	// Stay are roles that no other store can take as things are.
	Stay int `json:"stay"`
	// Waits are the reasons of those that do not move yet, the most frequent first.
	Waits []string `json:"waits,omitempty"`
}

// HeldGroup is a placement group that takes no writes, since fewer than two of its acceptors
// are up and remember their votes.
type HeldGroup struct {
	PG        vstack.PG      `json:"pg"`
	Epoch     vstack.Epoch   `json:"epoch"`
	Acceptors []HeldAcceptor `json:"acceptors"`
	// Acceptable says that enough stores are up to vote once the loss is accepted.
	Acceptable bool `json:"acceptable"`
}

// HeldAcceptor is one store that votes in a held group: up, suspect, down, or it forgot.
type HeldAcceptor struct {
	Store vstack.StoreID `json:"store"`
	Host  vstack.HostID  `json:"host"`
	State string         `json:"state"`
}

// AcceptLossRequest is the body of POST /v1/groups/accept-loss: groups, each at the epoch
// whose votes are given up.
type AcceptLossRequest struct {
	Groups []GroupEpoch `json:"groups"`
}

// GroupEpoch is a placement group at an epoch.
type GroupEpoch struct {
	PG    vstack.PG    `json:"pg"`
	Epoch vstack.Epoch `json:"epoch"`
}

// AcceptLossReply answers with the epochs that began.
type AcceptLossReply struct {
	Groups []GroupEpoch `json:"groups"`
	Index  uint64       `json:"index"`
}

// BalanceReport answers GET /v1/balance.
type BalanceReport struct {
	State vstack.Balance `json:"state"`
	// Paused says that nothing is shared out, whatever State: all that only moves is paused.
	Paused bool `json:"paused,omitzero"`
	Groups int  `json:"groups"` // that would change for every store to have its share
	Roles  int  `json:"roles"`  // that would go to another store: the rest only change their kind
	// Added are roles that no store has: groups get more targets.
	Added int `json:"added,omitzero"`
	// Worst is the part of its share by which the worst store misses it.
	Worst  float64        `json:"worst"`
	Bytes  int64          `json:"bytes"` // that would be copied, estimated from what stores hold
	Stores []StoreBalance `json:"stores"`
}

// StoreBalance is a store's part of it.
type StoreBalance struct {
	Store vstack.StoreID `json:"store"`
	Host  vstack.HostID  `json:"host"`
	Now   int            `json:"now"`  // roles
	Then  int            `json:"then"` // roles once all have their shares
	Votes int            `json:"votes"`
	Used  int64          `json:"used"` // bytes on disk, as last reported
}

// BalanceRequest is the body of PUT /v1/balance.
type BalanceRequest struct {
	State vstack.Balance `json:"state"`
}

// EventPage answers GET /v1/events.
type EventPage struct {
	Items []vstack.Event `json:"items"`
	Next  uint64         `json:"next"` // since of the next page
	More  bool           `json:"more"` // there is one now
}

// OKToStop answers GET /v1/nodes/{id}/ok-to-stop.
type OKToStop struct {
	Host    vstack.HostID `json:"host"`
	OK      bool          `json:"ok"`
	Reasons []string      `json:"reasons,omitempty"` // why not
}
