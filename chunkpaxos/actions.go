package chunkpaxos

import "github.com/vstack/vstack/internal/vstack"

// Event is what a proposer's or a reconfigurer's runtime tells it: Start, Answer,
// Unreachable, Timeout or Activated.
type Event interface{ event() }

// Start begins the first attempt.
type Start struct{}

// Answer brings the reply to a Send.
type Answer struct {
	Call  Call
	Reply Reply
}

// Unreachable says that a Send got no reply and will get none: nothing listened, the
// connection broke, the answer made no sense. Whether the message arrived is unknown.
type Unreachable struct {
	Call Call
	Err  error
}

// Activated tells a Reconfigurer what Raft made of its Activate. With an Err nothing
// was activated and nothing will be: another attempt was issued, or the epoch moved.
// A proposal whose fate is unknown is made again.
type Activated struct{ Err error }

func (Activated) event()   {}
func (Start) event()       {}
func (Answer) event()      {}
func (Unreachable) event() {}
func (Timeout) event()     {}

// Action is what a proposer wants done: Send, SetTimer, Chosen, Conflict or Failed.
// The last three end it. A reconfigurer wants Send, SetTimer, Activate, Reconfigured
// or Failed; the last two end it.
type Action interface{ action() }

// Call names one message of one proposer or reconfigurer, to match its answer.
type Call struct {
	Ballot vstack.Ballot
	Accept bool // phase 2
	To     vstack.StoreID
	Page   int // of a Reconfigurer's seal or install
}

// Send asks for Msg, a Prepare or an Accept, to be sent. WithBytes makes an Accept
// the PUT of the chunk.
type Send struct {
	Call      Call
	Msg       Message
	WithBytes bool
}

// Chosen says that the proposer's own value is the slot's for ever.
type Chosen struct {
	Ballot vstack.Ballot
	Value  vstack.Value
	// Acks are the stores known to hold the bytes durably, at least a majority.
	Acks []vstack.StoreID
}

// Conflict says that another value is the slot's for ever: ErrSlotConflict.
type Conflict struct {
	Ballot vstack.Ballot
	Value  vstack.Value
	Acks   []vstack.StoreID
}

// Failed says that the proposer gave up. Its value may still be chosen later, by
// whoever finds it.
type Failed struct{ Err error }

// Activate asks Raft to begin Group.Epoch with what Group.Attempt installed: a majority
// of Group.Acceptors has it durably. Raft does so if this attempt is the last one it
// issued for the placement group, and answers with Activated.
type Activate struct{ Group Group }

// Reconfigured says that the new epoch is active. Acceptors that are not in Installed
// take no part in it.
type Reconfigured struct {
	Installed []vstack.StoreID
	Votes     int // that were carried over
}

func (Activate) action()     {}
func (Reconfigured) action() {}
func (Send) action()         {}
func (SetTimer) action()     {}
func (Chosen) action()       {}
func (Conflict) action()     {}
func (Failed) action()       {}
