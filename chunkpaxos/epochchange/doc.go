// Package epochchange drives one epoch change of one placement group: it seals the old
// acceptors, installs what they may have chosen on the new ones, and asks Raft to
// activate the new epoch.
//
//	Start, Answer, Unreachable, Timeout, Activated
//	                     │
//	             ┌───────▼──────┐   Start ─► seal the old acceptors
//	             │ Reconfigurer │         ─► majority: merge ─► install on the new ones
//	             └───────┬──────┘         ─► majority: Activate ─► Activated
//	                     │                ─► install on the rest ─► Reconfigured
//	Send, SetTimer, Activate, Reconfigured, Failed
//
// Like the machines of chunkpaxos it knows no network, no clock and no goroutine. It
// needs no memory either: when its process dies, or takes too long, Raft issues the next
// attempt to another one. Two attempts never mix, because acceptors keep them apart and
// Raft activates the last one that it issued, and no other.
//
// The time in which the group takes no vote runs from the first seal to the activation:
// one append on each of two old acceptors, one a page on each of two new ones, and one
// round of Raft. Bytes travel in it only if fewer than a majority of the new acceptors
// hold them; whoever moves one role at a time never waits for bytes.
package epochchange
