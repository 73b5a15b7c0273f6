// Package catalog follows the metastore's feed and keeps, in memory, what a datanode
// needs of it: the placement map, which videos live, and which chunk fills each of
// their slots. It is a view: nothing of it is stored, and a restarted datanode reads
// the feed from the start.
//
//	metastore ── /v1/feed?since=INDEX (long poll) ──► Follower ──► OnPage (the voter)
//	                                                     │
//	                                                     └──► Holdings (the converge loop)
//
// Words: *applied* is the feed index up to which everything is known. *Synced* means
// that the end of the feed was reached once since the start; before that, the absence
// of a chunk from the view says nothing. *Interest* is the set of placement groups
// that have one of this host's stores among their targets; slots of other groups are
// not kept, and the feed is read again from the start when the interest grows.
//
// Invariants: applied never falls; pages are handed to OnPage in order and before
// applied moves; a metastore outage freezes the view and ends nothing.
package catalog
