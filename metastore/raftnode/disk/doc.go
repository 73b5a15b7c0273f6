// Package disk is what stands between Raft and a member's disk.
//
//   - Guard: a write that errs, or takes too long, is the last. It also measures how slow
//     the disk was lately (Pace).
//   - Votes: the term and the candidate of a vote become durable in one write.
//   - Snapshots: a snapshot goes to the disk bit by bit, so that the log's writes wait for
//     little of it.
//   - SealEntries, and Snapshots with a key: entries and snapshots are encrypted.
//
// Invariants: after a write that went wrong none is tried, and fatal was told once; writes
// run one by one, as Raft issues them; a vote whose candidate is unknown was never cast.
package disk
