package message

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// Message is a request to an acceptor: Accept, Prepare, PrepareUpload, Seal,
// Install or Query.
type Message interface{ message() }

// Accept asks an acceptor to vote for Value in Slot. It travels as the PUT of the
// chunk's bytes, or without bytes; then an acceptor that lacks them fetches them.
type Accept struct {
	Slot   vstack.Slot     `json:"slot"`
	Epoch  vstack.Epoch    `json:"epoch"`
	Upload vstack.UploadID `json:"upload"`
	// UploadIndex is the Raft index of the ballot's incarnation.
	UploadIndex uint64        `json:"upload_index"`
	Ballot      vstack.Ballot `json:"ballot"`
	Value       vstack.Value  `json:"value"`
}

// Prepare is phase 1 for one slot; its ballot's round is at least 1.
type Prepare struct {
	Slot        vstack.Slot     `json:"slot"`
	Epoch       vstack.Epoch    `json:"epoch"`
	Upload      vstack.UploadID `json:"upload"`
	UploadIndex uint64          `json:"upload_index"`
	Ballot      vstack.Ballot   `json:"ballot"`
}

// PrepareUpload is phase 1 for every slot of an upload at once: "upload U, minimum
// ballot b". The answer lists the accepted slots in pages; a repeat with the same
// ballot and a later After reads the next page.
type PrepareUpload struct {
	Upload      vstack.UploadID `json:"upload"`
	UploadIndex uint64          `json:"upload_index"`
	Ballot      vstack.Ballot   `json:"ballot"`
	// After is the last slot of the page before; nil starts at the first.
	After *vstack.Slot `json:"after,omitempty"`
	// Limit is the most slots to answer; 0 and anything above MaxPage mean MaxPage.
	Limit int `json:"limit,omitempty"`
}

// Seal freezes a placement group's epoch on an old acceptor, which answers with its
// votes for unpublished uploads, in pages like PrepareUpload.
type Seal struct {
	PG    vstack.PG    `json:"pg"`
	Epoch vstack.Epoch `json:"epoch"` // the epoch that ends
	After *vstack.Slot `json:"after,omitempty"`
	Limit int          `json:"limit,omitempty"`
}

// Install stages the values that a sealed epoch may have chosen on an acceptor of
// the next one. Pages of one attempt arrive in order, First on the first and Final
// on the last. They take effect when the catalog activates (Epoch, Attempt).
type Install struct {
	PG      vstack.PG    `json:"pg"`
	Epoch   vstack.Epoch `json:"epoch"` // the epoch that begins
	Attempt uint32       `json:"attempt"`
	First   bool         `json:"first,omitempty"`
	Final   bool         `json:"final,omitempty"`
	// Votes need Slot, Upload and Value; Epoch and Ballot are re-stamped.
	Votes []Vote `json:"votes"`
}

// Query reads what one acceptor holds for a slot. One "accepted" is never "chosen".
type Query struct {
	Slot vstack.Slot `json:"slot"`
}

func (Accept) message()        {}
func (Prepare) message()       {}
func (PrepareUpload) message() {}
func (Seal) message()          {}
func (Install) message()       {}
func (Query) message()         {}

// InstallBallot is "the lowest ballot of e+1": below every ballot that an incarnation
// can make. The attempt is in it so that two drivers never share one.
func InstallBallot(attempt uint32) vstack.Ballot { return vstack.Ballot{Round: attempt} }

// MaxPage bounds the slots in one answer and in one Install.
const MaxPage = 4096

// Vote is what an acceptor accepted in one slot.
type Vote struct {
	Slot   vstack.Slot     `json:"slot"`
	Upload vstack.UploadID `json:"upload"`
	Epoch  vstack.Epoch    `json:"epoch"`
	Ballot vstack.Ballot   `json:"ballot"`
	Value  vstack.Value    `json:"value"`
}

// Reply is an acceptor's answer: Accepted, Nack, Promise, UploadPromise, Sealed,
// Installed or SlotState.
type Reply interface{ reply() }

// Accepted says that Store holds the verified bytes and the vote durably, at LSN.
type Accepted struct {
	Store  vstack.StoreID `json:"store"`
	LSN    vstack.LSN     `json:"lsn"`
	Slot   vstack.Slot    `json:"slot"`
	Ballot vstack.Ballot  `json:"ballot"`
	Value  vstack.Value   `json:"value"`
}

// Nack is a refusal. Nothing was voted for or promised.
type Nack struct {
	Store  vstack.StoreID
	Reason *vstack.Sentinel
	Detail string
	// Ballot is the one that won (promised, minimum or accepted); zero if none did.
	Ballot vstack.Ballot
	// Epoch is the acceptor's own for the slot's placement group; 0 if unknown.
	Epoch vstack.Epoch
	// Value is what the slot holds here; zero if it is empty or the Nack is not
	// about the slot.
	Value vstack.Value
}

// Err is the refusal as an error that unwraps to Reason.
func (n Nack) Err() error {
	if n.Detail == "" {
		return fmt.Errorf("store %s refused: %w", n.Store, n.Reason)
	}
	return fmt.Errorf("store %s refused: %w: %s", n.Store, n.Reason, n.Detail)
}

// Promise answers Prepare: no ballot below Ballot is accepted here any more.
type Promise struct {
	Store  vstack.StoreID `json:"store"`
	LSN    vstack.LSN     `json:"lsn"`
	Slot   vstack.Slot    `json:"slot"`
	Epoch  vstack.Epoch   `json:"epoch"`
	Ballot vstack.Ballot  `json:"ballot"`
	// Accepted and Value are the slot's vote; zero if it is empty.
	Accepted vstack.Ballot `json:"accepted"`
	Value    vstack.Value  `json:"value"`
}

// GroupEpoch is a placement group in which a store votes, and at which epoch.
type GroupEpoch struct {
	PG    vstack.PG    `json:"pg"`
	Epoch vstack.Epoch `json:"epoch"`
}

// UploadPromise answers PrepareUpload. It is a promise only for slots of Groups, at
// those epochs; a Survey counts it so.
type UploadPromise struct {
	Store  vstack.StoreID  `json:"store"`
	LSN    vstack.LSN      `json:"lsn"`
	Upload vstack.UploadID `json:"upload"`
	Ballot vstack.Ballot   `json:"ballot"`
	Groups []GroupEpoch    `json:"groups"` // at most vstack.PlacementGroups
	Votes  []Vote          `json:"votes"`  // ordered by slot
	More   bool            `json:"more"`   // ask again After the last vote
}

// Sealed answers Seal.
type Sealed struct {
	Store vstack.StoreID `json:"store"`
	LSN   vstack.LSN     `json:"lsn"`
	PG    vstack.PG      `json:"pg"`
	Epoch vstack.Epoch   `json:"epoch"`
	Votes []Vote         `json:"votes"` // ordered by slot
	More  bool           `json:"more"`
}

// Installed answers one page of Install; Final echoes that the attempt is complete
// and durable here.
type Installed struct {
	Store   vstack.StoreID `json:"store"`
	LSN     vstack.LSN     `json:"lsn"`
	PG      vstack.PG      `json:"pg"`
	Epoch   vstack.Epoch   `json:"epoch"`
	Attempt uint32         `json:"attempt"`
	Final   bool           `json:"final"`
}

// SlotState answers Query.
type SlotState struct {
	Store    vstack.StoreID `json:"store"`
	LSN      vstack.LSN     `json:"lsn"` // of the vote; 0 if the slot is empty
	Slot     vstack.Slot    `json:"slot"`
	Epoch    vstack.Epoch   `json:"epoch"`    // of the placement group
	Promised vstack.Ballot  `json:"promised"` // the lowest ballot still taken
	Accepted vstack.Ballot  `json:"accepted"` // zero if the slot is empty
	Value    vstack.Value   `json:"value"`
}

func (Accepted) reply()      {}
func (Nack) reply()          {}
func (Promise) reply()       {}
func (UploadPromise) reply() {}
func (Sealed) reply()        {}
func (Installed) reply()     {}
func (SlotState) reply()     {}

// ChosenOf is the learn rule: "a majority reporting the same (ballot, value) →
// chosen". Reports of stores that are not acceptors do not count.
func ChosenOf(acceptors []vstack.StoreID, reports map[vstack.StoreID]Vote) (vstack.Value, bool) {
	for _, a := range acceptors {
		v, ok := reports[a]
		if !ok || v.Ballot.IsZero() {
			continue
		}
		same := 0
		for _, b := range acceptors {
			if w, ok := reports[b]; ok && w.Epoch == v.Epoch && w.Ballot == v.Ballot && w.Value == v.Value {
				same++
			}
		}
		if same >= Majority(len(acceptors)) {
			return v.Value, true
		}
	}
	return vstack.Value{}, false
}

// Majority is how many of n acceptors decide.
func Majority(n int) int { return n/2 + 1 }

// CompareSlots orders slots by video, track and sequence: the order of pages.
func CompareSlots(a, b vstack.Slot) int {
	return cmp.Or(
		bytes.Compare(a.Video[:], b.Video[:]),
		cmp.Compare(a.Track, b.Track),
		cmp.Compare(a.Seq, b.Seq),
	)
}
