// Package catalog follows the metastore's feed and keeps, on disk, what a datanode needs of
// it: the placement map, uploads, which videos live, and which chunk fills each of their slots
// in the placement groups of this host. It is a view: a directory that is missing, foreign,
// older than the stores or rotten is read anew, and a restart reads what is new.
//
//	metastore ── GET /v1/feed, a page ──► Follower ──► OnPage (the voter)
//	                                         │ one batch a page: rows and index
//	                                         ▼
//	                                      pebble ──► Snapshot, Holdings (the converge loop)
//
// Words: the *index* is how far the view has got. A group is *complete through* an index
// when every reference of it up to there is here; before that, the absence of a chunk from
// the view says nothing. The two differ while pages follow each other, and while a group is
// read for the first time or again: the index goes on, and the group is complete through 0.
// *Known* are the groups that have, or had, one of this host's stores among their targets,
// until Forget; references of other groups are not kept. When a map brings a group, that group
// alone is read, by requests of its own between those that follow the feed. The end of such a
// read counts, as every end does, only in a page of a catalog at or past every one that
// answered before.
//
// Invariants:
//
//   - Rows and the state that speaks of them are one batch: after a crash the view is what it
//     was after some page, and goes on from there.
//   - No page is taken in from an older catalog than one that was before (of members of the
//     first release, which do not tell theirs, rows are taken that are not older).
//   - The index falls only when the view begins anew. Pages are handed to OnPage in order, and
//     before they are durable: a restart is told again what it had not written down.
//   - A row that cannot be read ends the process; before that nothing is called complete.
//   - A metastore outage freezes the view and ends nothing.
package catalog
