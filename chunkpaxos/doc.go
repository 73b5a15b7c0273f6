// Package chunkpaxos is the protocol that fills a slot: a write-once register,
// replicated on the slot's three acceptors, whose first and usual round trip is
// the PUT of the chunk's own bytes.
//
// Both sides are pure step machines: a message, a timer or the completion of an
// append goes in, effects come out. The package knows no HTTP, no disk, no clock
// and no goroutine, so the datanode, the client and the simulator in its tests run
// the very same code.
//
//	Request, AppendDone, BytesReady,            Answer, Unreachable,
//	Timeout, Cancel, CatalogChange, Echo        Timeout, Start
//	               │                                  │
//	          ┌────▼─────┐                       ┌────▼─────┐
//	          │ Acceptor │  one a store          │ Proposer │  one a slot
//	          └────┬─────┘                       └────┬─────┘
//	Append, FetchBytes, Respond,                Send, SetTimer,
//	SetTimer, Alarm, Halt                       Chosen, Failed
//
// What they say to each other is chunkpaxos/message. chunkpaxos/survey reads the answers
// of an upload's ranged prepares, chunkpaxos/epochchange drives the change of an epoch.
//
// Words:
//
//	ballot    (Incarnation, Round, Proposer); round 0 is the fast path of the
//	          upload's owner, everyone else starts at round ≥ 1 with Prepare
//	minimum   the lowest ballot that an acceptor still takes for any slot of an
//	          upload; a ranged prepare (PrepareUpload) raises it
//	epoch     counts the configurations of a placement group; an acceptor refuses
//	          every epoch but its own
//	seal      a durable promise not to vote in an epoch any more
//	echo      the highest LSN that others saw this store acknowledge; a store that
//	          recovered below it has forgotten votes, and does not vote
//
// Invariants, each checked by the simulator: one value per ballot; agreement; an
// acknowledgement means two verified durable copies; promises are monotone across
// crashes; no vote without bytes; a sealed epoch is frozen; a dead upload takes no
// vote; no voter below its echo; round 0 only onto an empty slot and by one
// process; nothing is acknowledged after an append error.
//
// The specification, with pictures and message counts, is docs/chunkpaxos.md.
// Comments that start with a quoted line quote it.
package chunkpaxos
