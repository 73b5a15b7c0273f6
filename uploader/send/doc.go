// Package send gets the chunks of one attempt chosen, several at once, and tries each again while
// the cluster may still be able to.
//
//	cut ── Send, blocks while the window is full ──► commit ── chosen ──► Job.ChunkDone
//	                                                   │└─ Transient: Job.Held, again after a pause
//	                                                   └── otherwise: the attempt ends
//
// Invariants: a chunk that is chosen already is not sent again; a slot that holds another chunk ends
// the attempt; when the time is up the error is what the cluster said last; Wait returns once no
// commit is on its way.
package send
