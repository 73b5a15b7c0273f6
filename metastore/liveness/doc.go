// Package liveness is the leader's memory of heartbeats, and the rules by which silence
// becomes a state: suspect, down, lost.
//
// Words: a sighting is the last report of a store; silence is the time since then during
// which this leader listened.
//
// Invariants:
//
//   - A leader judges by what it heard itself: each term begins with an empty memory, and
//     a store that it never heard of has been silent since the term began, no longer.
//   - Time in which the leader's own process stood still is nobody's silence.
//   - The echo of a store is the highest LSN that is committed or was heard this term.
package liveness
