package epochchange

import (
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Event is what the runtime tells a Reconfigurer: Start, Answer, Unreachable, Timeout
// or Activated.
type Event interface{ event() }

// Start begins the attempt.
type Start struct{}

// Answer brings the reply to a Send.
type Answer struct {
	Call  Call
	Reply message.Reply
}

// Unreachable says that a Send got no reply and will get none that is listened to.
// Whether the message arrived is unknown.
type Unreachable struct {
	Call Call
	Err  error
}

// Timeout reports that the SetTimer with Token ran out.
type Timeout struct{ Token uint64 }

// Activated tells what Raft made of Activate. With an Err nothing was activated and
// nothing will be: another attempt was issued, or the epoch moved. A proposal whose
// fate is unknown is made again and is no event.
type Activated struct{ Err error }

func (Start) event()       {}
func (Answer) event()      {}
func (Unreachable) event() {}
func (Timeout) event()     {}
func (Activated) event()   {}

// Action is what a Reconfigurer wants done: Send, SetTimer, Activate, Reconfigured or
// Failed. The last two end it.
type Action interface{ action() }

// Call names one message, to match its answer.
type Call struct {
	To      vstack.StoreID
	Install bool // or a Seal
	Page    int  // from 0
}

// Send asks for Msg, a Seal or an Install, to be sent to Call.To. The runtime gives
// each one deadline and ends it with one Answer or Unreachable.
type Send struct {
	Call Call
	Msg  message.Message
}

// SetTimer asks for a Timeout with Token after a delay.
type SetTimer struct {
	Token uint64
	After time.Duration
}

// Activate asks Raft to begin the new epoch with what this attempt installed: a majority
// of the new acceptors has it durably. Raft does so if this attempt is the last one that
// it issued for the placement group; the runtime answers with Activated.
type Activate struct{}

// Reconfigured says that the new epoch is active. New acceptors that are not in
// Installed take no part in it.
type Reconfigured struct {
	Installed []vstack.StoreID
	Votes     int // that were carried over
}

// Failed says that this attempt came to nothing. The old epoch may be sealed by then:
// only a later attempt opens the group again.
type Failed struct{ Err error }

func (Send) action()         {}
func (SetTimer) action()     {}
func (Activate) action()     {}
func (Reconfigured) action() {}
func (Failed) action()       {}
