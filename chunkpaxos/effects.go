package chunkpaxos

import (
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Token names one request or timer to the runtime. The runtime chooses the tokens
// of requests, never 0 and never one that is still unanswered. Token 0 in an Append
// means that nobody waits for it.
type Token uint64

// DurableKind says what a Durable records.
type DurableKind uint8

const (
	// DurableVote is a vote: Slot, PG, Epoch, Upload, Ballot, Value.
	DurableVote DurableKind = iota + 1
	// DurablePromise is a promise for one slot: Slot, PG, Epoch, Upload, Ballot.
	DurablePromise
	// DurableMinimum is a ranged promise: Upload, Ballot, and Slot.Video.
	DurableMinimum
	// DurableSeal freezes PG at Epoch and below.
	DurableSeal
	// DurableInstall is a staged vote of an epoch change: Slot, PG, Epoch, Upload,
	// Ballot, Value; with a zero Slot it marks the attempt in Ballot.Round complete.
	DurableInstall
	// DurableForget drops every record of Upload (and Slot.Video): it is published,
	// aborted or deleted.
	DurableForget
	// DurableAmnesia bars PG at Epoch and below: votes may have been forgotten.
	DurableAmnesia
)

// Durable is one record of an acceptor's state.
//
// The log under it must keep, until superseded: per slot the vote with the highest
// (Epoch, Ballot) and the highest promise; per upload the highest minimum; per PG
// the highest seal and amnesia, and of each of the two newest epochs the highest
// install attempt with its staged votes: the older one may still be in force while
// an attempt at the newer one comes to nothing. Records that a restart restores may
// come in any order.
type Durable struct {
	Kind   DurableKind
	Slot   vstack.Slot
	PG     vstack.PG
	Epoch  vstack.Epoch
	Upload vstack.UploadID
	Ballot vstack.Ballot
	Value  vstack.Value
	// LSN is where the log holds the record; set on Restore only.
	LSN vstack.LSN
}

// Input is what an acceptor's runtime tells it: Request, AppendDone, BytesReady,
// Timeout, Cancel, CatalogChange or Echo.
type Input interface{ input() }

// Request is a message from a peer.
type Request struct {
	Token Token
	Msg   message.Message
	// HasBytes says that the runtime holds the bytes of an Accept, and that they hash
	// to Value.Chunk and have Value.Size: "verify SHA-256".
	HasBytes bool
	// Echo is the highest LSN that the sender ever saw this store acknowledge.
	Echo vstack.LSN
}

// AppendDone completes an Append. With an Err of ErrDiskFull, ErrClosed or
// ErrBytesMissing the log guarantees that nothing was written and nothing will be; any
// other error halts the acceptor.
type AppendDone struct {
	Token Token
	LSN   vstack.LSN // of the last record of the append
	Err   error
}

// BytesReady completes a FetchBytes.
type BytesReady struct {
	Token Token
	// Stored says that the bytes are durable here already, so that the vote's append
	// carries none. Otherwise the runtime holds verified bytes for the append.
	Stored bool
	Err    error
}

// Timeout reports that a SetTimer ran out.
type Timeout struct{ Token Token }

// Cancel says that nobody waits for the answer of Token any more.
type Cancel struct{ Token Token }

// CatalogChange brings what the catalog says at index Applied. Every object whose
// last change is at or below Applied has been told in this change or an earlier one.
type CatalogChange struct {
	Applied uint64
	Groups  []Group
	Uploads []vstack.Upload  // opened, resumed, published, aborted
	Deleted []vstack.VideoID // deleted or failed videos
}

// Group is one placement group as the catalog assigns it.
type Group struct {
	PG        vstack.PG
	Epoch     vstack.Epoch
	Acceptors []vstack.StoreID
	// Attempt is the install attempt that the activation of Epoch named. 0 is an
	// epoch without a predecessor that held votes: nothing needs installing.
	Attempt uint32
}

// Echo brings what the catalog remembers of this store, once at start and then with
// each heartbeat. Until the first Echo no request is judged.
type Echo struct {
	// LSN is the highest that the catalog ever saw of this store. Before the first Echo
	// the store reports what it recovered, and nothing that it wrote since.
	LSN vstack.LSN
	// Current is the store's last durable LSN, read after the echo arrived.
	Current vstack.LSN
	// Index is the catalog's own index: after a start nothing is judged before the
	// catalog was applied up to the first Echo's Index.
	Index uint64
}

func (Request) input()       {}
func (AppendDone) input()    {}
func (BytesReady) input()    {}
func (Timeout) input()       {}
func (Cancel) input()        {}
func (CatalogChange) input() {}
func (Echo) input()          {}

// Effect is what an acceptor wants done: Append, FetchBytes, Respond, SetTimer,
// Alarm or Halt. The runtime starts appends in the order of the effects.
type Effect interface{ effect() }

// Append asks for Records to be made durable as one atomic batch; with WithBytes the
// bytes that the runtime holds for Token go into it. Answer with AppendDone.
type Append struct {
	Token     Token
	Records   []Durable
	WithBytes bool
	// Above wants LSNs above this one, also where the log is far below it; 0 for none.
	Above vstack.LSN
}

// FetchBytes asks the runtime to find the bytes of Values, here or at a peer, and to
// verify them. With Store they must be durable here before it answers. Answer with
// BytesReady.
type FetchBytes struct {
	Token  Token
	Slot   vstack.Slot // of the first value
	Values []vstack.Value
	Store  bool
}

// Respond answers a request; its Token is free again.
type Respond struct {
	Token Token
	Reply message.Reply
}

// SetTimer asks for a Timeout with Token after a delay. A timer may fire late, and
// once more than was asked for; both machines bear that.
type SetTimer struct {
	Token Token
	After time.Duration
}

// Alarm reports something that a correct peer never does, for the log and a metric.
type Alarm struct {
	Reason *vstack.Sentinel
	Detail string
}

// Halt ends the acceptor: the state on disk is unknown. The runtime exits the process.
type Halt struct{ Err error }

func (Append) effect()     {}
func (FetchBytes) effect() {}
func (Respond) effect()    {}
func (SetTimer) effect()   {}
func (Alarm) effect()      {}
func (Halt) effect()       {}
