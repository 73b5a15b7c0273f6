package chunkpaxos

import (
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Event is what a proposer's runtime tells it: Start, Answer, Unreachable or Timeout.
type Event interface{ event() }

// Start begins the first attempt.
type Start struct{}

// Answer brings the reply to a Send.
type Answer struct {
	Call  Call
	Reply message.Reply
}

// Unreachable says that a Send got no reply and will get none: nothing listened, the
// connection broke, the answer made no sense. Whether the message arrived is unknown.
type Unreachable struct {
	Call Call
	Err  error
}

func (Start) event()       {}
func (Answer) event()      {}
func (Unreachable) event() {}
func (Timeout) event()     {}

// Action is what a proposer wants done: Send, SetTimer, Chosen, Conflict or Failed.
// The last three end it.
type Action interface{ action() }

// Call names one message of one proposer, to match its answer.
type Call struct {
	Ballot vstack.Ballot
	Accept bool // phase 2
	To     vstack.StoreID
}

// Send asks for Msg, a Prepare or an Accept, to be sent. WithBytes makes an Accept
// the PUT of the chunk.
type Send struct {
	Call      Call
	Msg       message.Message
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

func (Send) action()     {}
func (SetTimer) action() {}
func (Chosen) action()   {}
func (Conflict) action() {}
func (Failed) action()   {}
