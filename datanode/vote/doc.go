// Package vote runs one store's ChunkPaxos acceptor: it gives the pure step machine
// of package chunkpaxos its bytes, its log, its clock and its peers.
//
//	PUT, POST /v1/paxos/… ──► Handler ──► Voter.Do ──► Acceptor.Step ──► effects
//	                                        ▲                              │
//	                 superblock.Append ◄────┴── each call's own goroutine ◄┘
//	                 fetch from a peer
//
// A call's goroutine carries out what the acceptor asks on its behalf, and feeds the
// outcome back; the lock is held only around Step, never over I/O. Appends that
// nobody waits for, as those that forget an upload, are carried out by Run.
//
// Words: a chunk is *pinned* from before its bytes are looked up until the vote for
// them is durable. Drop removes chunks that nothing names; it takes no pinned chunk,
// and a pin waits for a drop under way.
//
// Invariants:
//   - bytes were hashed to their chunk's name by this process before a vote for them
//     is appended, or their stored copy passed all its checksums within this call; a
//     staged vote may also rely on a vote that this store has cast for them;
//   - bytes and vote are one append; a vote alone is appended only for pinned bytes;
//   - no chunk that a vote names is dropped;
//   - after an append error nothing is answered any more, and the process ends.
package vote
