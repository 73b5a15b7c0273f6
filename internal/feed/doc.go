// Package feed is what datanodes read of the catalog: requests by placement group, and pages
// that carry slots, chunks and sizes rather than manifests.
//
// GET /v1/feed with an Accept header that names ContentType is answered in this form; without
// it, with the JSON of wire.FeedPage, which hosts of the first release read. A member of the
// first release answers JSON whatever it is asked: FromJSON makes a page of that.
//
// Words: a host asks for what changed after *since*, and says that it *has* all references of
// its groups through another index, so that a video whose title changed comes without them.
// The two differ while a page is followed by another: a video that changes between two pages
// moves behind the reader, and only the end of the feed tells that none was missed. A page
// says *at* which index the catalog was that it comes from; a reader takes none from an older
// catalog than it has seen, so that what it knows never goes back.
//
// A page, little-endian:
//
//	 0     8  "VSFEED" and two bytes of version, 1
//	 8     8  index: ask again with this
//	16     8  at: the change index of the catalog that answers
//	24    16  cluster
//	40     1  1: another page is ready
//	41     4  length of the placement map, 0 for none; its JSON
//	 …     4  number of uploads, each 65 bytes:
//	             upload 16, video 16, owner 16, state 1, incarnation 8, index 8
//	 …     4  number of videos, each 38 bytes and its references:
//	             video 16, state 1, class 1, class index 8, changed 8, references 4
//	             reference, 42 bytes: track 2, sequence 4, size 4, chunk 32
//	 …     4  CRC32C of all before
//
// A page in which a video lies in fragments is of version 2, which only clusters of a level
// know that has fragments: there, between a video's changed and its references, lie
//
//	k 1, m 1 (0 and 0: copies), small 4, number of hot heads 1, each: track 2, last sequence 4
//
// A page that says who may watch, which only clusters know that are at a level that has that,
// is of version 3: it has the layouts of version 2; behind the placement map a length, 0 for
// none, and the JSON of all keys of playback tokens; and, before each video's layout
//
//	visibility 1 (0 never set, 1 public, 2 unlisted, 3 private), tokens from 8 (Unix seconds, 0
//	for any), index of the last change of these 8
//
// States of uploads: 1 open, 2 published, 3 aborted. States of videos: 1 published, 2 failed,
// 3 deleted. Classes: 1 hot, 2 cooling, 3 cold, 4 warming; 0 for a video that is not published.
package feed
