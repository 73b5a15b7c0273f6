// Package slotrace has two uploaders propose different bytes for the same slots, and a third one
// commit beside them in slots of its own.
//
//	owner, by round 0 ──┐
//	                    ├─► the same slot ── one value, which both learn
//	contender, 2 phases ┘
//	bystander ── commits beside the race, beside the same two apart, and alone
//
// Every race has one winner: the loser is told so with the winner's value, and who resumes the
// upload later finds that same value. What a bystander waits for may not grow by it.
package slotrace
