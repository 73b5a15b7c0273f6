// Package replace replaces one store after another of a real cluster while uploaders
// commit chunks, and measures for how long nobody, and for how long somebody, waited.
//
//	Run ── lab: three host processes of three stores each
//	 ├─ writers ── Commit, one chunk after another ──► acknowledged: slot, chunk, from, to
//	 ├─ rounds  ── POST /v1/stores/{id}/replace, until its roles are gone and no group has a Next
//	 └─ checker ── ended uploads: every acceptor asked, every chunk read ──► violations
//
// Words: a *round* is the replacement of one store; the *silence* of a round is the
// longest time within it in which no commit was acknowledged to anybody; its *stall* is
// the longest commit that overlaps it.
//
// An upload is checked when it has its slots, some time after it was written: it is left
// open for a number of further uploads, so that epoch changes carry its votes. What is
// left is checked after the last round. Each slot had one value proposed to it, so every
// acceptor that holds anything must hold that, a majority of one epoch must, and its
// bytes must be read back with their hash.
//
// Invariants: memory is bounded by the uploads that are open and by the rounds; every
// process and directory is gone when Run returns.
package replace
