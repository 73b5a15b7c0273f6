// Package raftnode runs hashicorp/raft with the defences that its use needs.
//
// Words: the FSM is the catalog; established is a leader whose barrier has been
// applied, so that its catalog holds everything committed before it.
//
//	raft ── log cache ── guard ── bbolt      (raft.db: log, term, vote)
//	     ── votes ────── guard ──┘
//	     ── file snapshots                   (snapshots/)
//	     ── transport ── streams ── mutual TLS
//
// What the wrappers are for (guard, votes and the paced snapshots are package disk; transport
// and streams are package transport):
//
//   - guard: a write that errors or takes longer than DiskTimeout ends the process. A
//     leader whose disk hangs would otherwise go on sending heartbeats and stall the
//     cluster for ever, and after a failed fsync nobody knows what is on the disk. It
//     also measures (pace) how slow the disk was lately.
//   - votes: term and candidate of a vote become durable in one write, not in two
//     with a crash between them.
//   - transport: heartbeats take the main loop. The library's fast path raises the
//     term on the I/O goroutine while the leader loop writes, and logs can diverge. A
//     pipeline that is stuck ends.
//   - streams: TLS 1.3 both ways, only hosts, and only of the same cluster: the ALPN
//     protocol carries its genesis, so that members of two never exchange a message.
//     hello, beside it, tells an empty directory who is there.
//   - leadership: NotifyCh is buffered and drained at once; writes are refused until
//     the barrier of the new term is applied.
//   - read index: a linearizable read asks a majority for their terms after it began;
//     the library's VerifyLeader can be satisfied by a reply that is older.
//
// A member is a name and an instance, which its directory drew when it was first used;
// both are its id for Raft. Founders are the members of the first configuration, and
// genesis is its hash. form.go has the rules by which an empty directory finds its place.
//
// Invariants: a cluster is founded by all members of one list or not at all; a directory
// that was emptied is another member, which takes no part until it is added; Raft says
// nothing before the directory says that it started; after Fatal nothing is acknowledged.
package raftnode
