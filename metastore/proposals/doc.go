// Package proposals commits commands: each is one entry of Raft's log, and what it left is the answer.
//
//	Propose ── Encode ── raftnode.Apply ── committed, applied here ── command.Result
//	Restore ── a backup in the place of the catalog, with nothing else under way
//
// Invariants: a command that was refused, or of which it is not known whether it was committed, is an
// error that says so; while a backup is restored commands are refused, and those under way have been
// answered before.
package proposals
