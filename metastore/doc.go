// Package metastore is one member of the metadata cluster: the replicated catalog
// behind a REST API.
//
// Words: the leader commits writes and judges the life of stores; a follower answers
// reads that may be a little old and forwards the rest; a member is either.
//
//	client ── HTTPS ── routes ── read ──── catalog.View
//	                     │ └──── propose ── raftnode ── catalog (on every member)
//	                     └────── forward ── the leader's routes
//	duties of the leader: liveness of stores, placement, epoch changes; of every
//	member: views
//
// Invariants:
//
//   - A write is answered once it is committed and applied here; an answer
//     OUTCOME_UNKNOWN means that it may have been. A repeat with the same
//     Vstack-Request-Id is answered as the first time.
//   - A request is forwarded at most once.
//   - No store is judged by a leader that has not had the chance to hear of it for
//     DownAfter, and none because the leader's own process stood still.
//   - An operator's order, a lost store and every attempt at an epoch are in the catalog;
//     a leader that dies takes no more with it than the time they are out.
//   - The metastore dials no datanode and moves no chunk.
package metastore
