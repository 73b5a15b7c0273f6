// Package rig is what scenarios measure on: a lab of three hosts with the clients of one
// uploader, and rounds of work upon it.
//
//	Open ── Cluster: host processes, ID, Meta, Chunks
//	          └── OpenUpload ── Upload: Slot after Slot ── Put, PutRound, PutMedian, Fill
//	Pairs ── Measure of ours beside one of a baseline, in turns ── paired.Pair
//	InFlight ── calls at once: wall, and each one's time
//
// A scenario has a cluster of its own and closes it. A commit that a rig measures counts when
// all copies are acknowledged, so that three are never compared with two.
package rig
