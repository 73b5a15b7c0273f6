// Package viewing says how one playback of a film fared, and compares playbacks in pairs: what
// films over a virtual network (bench/contest) and films from real hosts (bench/screening) have
// in common.
//
//	client, manifest, Session ─► Watch ─► Outcome
//	Outcomes of two policies, paired by seed ─► Worse, Bootstrap ─► Interval
//
// Words: lateness is by how much a fragment came after it was due; extra is what came twice; a
// gap is the longest time without a byte while some were owed, from when a host vanished on.
package viewing
