// Package progress is what is known of a job of the uploader: to clients while it runs, and on disk
// as job.json, from which another process goes on.
//
//	NewRecord ─► Progress ◄── Begin, CutTo, ChunkDone, Held, Warn … ── the attempt
//	                │└─ Snapshot: the job, and a channel that closes at the next change
//	                └── Record ── Encode ─► job.json ── Decode ─► Record
//
// Words: a record is durable, the rest lives as long as the process; an attempt counts anew what
// Begin resets.
//
// Invariants: whoever waits is woken by every change; the position of a job is its slowest track's;
// a record of a version that this program does not know is refused, never guessed at.
package progress
