package wire

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// PathMessages is where a store tells which messages of ChunkPaxos come to it.
const PathMessages = "/v1/paxos/messages"

// HeardPage is what a store heard since it was last asked.
type HeardPage struct {
	Next   uint64  `json:"next"`   // ask again after it
	Missed uint64  `json:"missed"` // were forgotten before anybody asked
	OneIn  uint32  `json:"one_in"` // of so many slots one is heard
	Items  []Heard `json:"items"`  // oldest first
}

// Heard is a message about one slot that came to a store, or what the store answered to it.
type Heard struct {
	Number uint64         `json:"number"` // counts those that were heard since the process began
	Time   time.Time      `json:"time"`   // by the store's clock
	Store  vstack.StoreID `json:"store"`
	From   string         `json:"from,omitempty"` // whose certificate it came with
	Kind   string         `json:"kind"`           // put, accept or prepare
	Slot   vstack.Slot    `json:"slot"`
	PG     vstack.PG      `json:"pg"`
	Epoch  vstack.Epoch   `json:"epoch"`
	Ballot vstack.Ballot  `json:"ballot"`
	Value  vstack.Value   `json:"value,omitzero"`
	Answer string         `json:"answer,omitempty"` // absent: the message itself; ACCEPTED, PROMISED or the code of a refusal
	Holds  HeardVote      `json:"holds,omitzero"`   // what the slot has, where the answer says so
	Took   float64        `json:"took,omitempty"`   // seconds from the message's head to its answer
}

// HeardVote is a vote that an answer tells of.
type HeardVote struct {
	Ballot vstack.Ballot `json:"ballot"`
	Value  vstack.Value  `json:"value"`
}
